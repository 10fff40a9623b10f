//go:build boot

package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// qmp speaks the QEMU Machine Protocol with one machine:
// https://www.qemu.org/docs/master/interop/qmp-spec.html
type qmp struct {
	*watched
	conn    io.ReadWriteCloser
	lastID  int
	replies map[int]qmpMessage
	events  []qmpMessage // those that no waitEvent has returned yet
	end     error        // why nothing follows any more
}

// qmpMessage is whatever QEMU sends: a greeting, a reply or an event.
type qmpMessage struct {
	ID     int             `json:"id"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

// newQMP takes over conn, QEMU's monitor in control mode.
func newQMP(ctx context.Context, conn io.ReadWriteCloser) (*qmp, error) {
	q := &qmp{watched: newWatched(), conn: conn, replies: map[int]qmpMessage{}}
	go q.read()
	return q, q.execute(ctx, "qmp_capabilities", nil, nil)
}

func (q *qmp) read() {
	for dec := json.NewDecoder(q.conn); ; {
		var m qmpMessage
		if err := dec.Decode(&m); err != nil {
			err = errors.Join(err, q.conn.Close())
			q.update(func() { q.end = fmt.Errorf("the connection to QEMU's monitor ended: %w", err) })
			return
		}
		q.update(func() {
			switch {
			case m.Event != "":
				q.events = append(q.events, m)
			case m.ID != 0:
				q.replies[m.ID] = m
			}
		})
	}
}

// execute runs a command and decodes what it returns into result, unless that
// is nil.
func (q *qmp) execute(ctx context.Context, command string, arguments, result any) error {
	id, err := q.send(command, arguments)
	if err != nil {
		return fmt.Errorf("qmp %s: %w", command, err)
	}
	var reply qmpMessage
	err = q.wait(ctx, func() (ok bool, err error) {
		if reply, ok = q.replies[id]; ok {
			delete(q.replies, id)
			return true, nil
		}
		return false, q.end
	})
	switch {
	case err != nil:
		return fmt.Errorf("qmp %s: %w", command, err)
	case reply.Error != nil:
		return fmt.Errorf("qmp %s: %s: %s", command, reply.Error.Class, reply.Error.Desc)
	case result == nil:
		return nil
	}
	if err := json.Unmarshal(reply.Return, result); err != nil {
		return fmt.Errorf("qmp %s: decode the reply: %w", command, err)
	}
	return nil
}

func (q *qmp) send(command string, arguments any) (id int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lastID++
	return q.lastID, json.NewEncoder(q.conn).Encode(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        int    `json:"id"`
	}{command, arguments, q.lastID})
}

// waitEvent waits for an event, which may have come since the last call, and
// decodes its data into data, unless that is nil. Events before it are
// forgotten.
func (q *qmp) waitEvent(ctx context.Context, name string, data any) error {
	var event qmpMessage
	err := q.wait(ctx, func() (bool, error) {
		i := slices.IndexFunc(q.events, func(m qmpMessage) bool { return m.Event == name })
		if i < 0 {
			return false, q.end
		}
		event = q.events[i]
		q.events = slices.Delete(q.events, 0, i+1)
		return true, nil
	})
	if err == nil && data != nil {
		err = json.Unmarshal(event.Data, data)
	}
	if err != nil {
		return fmt.Errorf("wait for the event %s: %w", name, err)
	}
	return nil
}

// writes is how many writes the guest has made so far to all its disks.
func (q *qmp) writes(ctx context.Context) (sum int64, err error) {
	var disks []struct {
		Stats struct {
			Writes int64 `json:"wr_operations"`
		} `json:"stats"`
	}
	if err := q.execute(ctx, "query-blockstats", nil, &disks); err != nil {
		return 0, err
	}
	for _, d := range disks {
		sum += d.Stats.Writes
	}
	return sum, nil
}

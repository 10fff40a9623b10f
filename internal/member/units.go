package member

import (
	"context"
	"fmt"

	"github.com/coreos/go-systemd/v22/dbus"
)

// units is the connection to systemd.
type units struct{ *dbus.Conn }

func connect(ctx context.Context) (units, error) {
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return units{}, fmt.Errorf("connect to systemd: %w", err)
	}
	return units{conn}, nil
}

// unitState is how a unit is, in the words of `systemctl show`.
type unitState struct {
	name, active, sub, result string

	queued bool // it has a job to do, such as to start after another
}

func (s unitState) String() string {
	words := s.sub
	if s.result != "" && s.result != "success" {
		words += ", " + s.result
	}
	if s.queued {
		words += ", queued"
	}
	return fmt.Sprintf("%s is %s (%s)", s.name, s.active, words)
}

// explain says why a unit does not answer.
func (s unitState) explain(err error) string {
	if s.active == "active" {
		return fmt.Sprintf("%s, but does not answer: %v", s, err)
	}
	return fmt.Sprintf("%s; see journalctl -b -u %s", s, s.name)
}

// running tells whether the unit runs, comes or goes.
func (s unitState) running() bool {
	return s.queued || s.active != "inactive" && s.active != "failed"
}

func (u units) state(ctx context.Context, name string) (unitState, error) {
	unit, err := u.GetUnitPropertiesContext(ctx, name)
	if err != nil {
		return unitState{}, fmt.Errorf("ask systemd for %s: %w", name, err)
	}
	service, err := u.GetUnitTypePropertiesContext(ctx, name, "Service")
	if err != nil {
		return unitState{}, fmt.Errorf("ask systemd for %s: %w", name, err)
	}
	s := unitState{name: name}
	s.active, _ = unit["ActiveState"].(string)
	s.sub, _ = unit["SubState"].(string)
	s.result, _ = service["Result"].(string)
	if job, _ := unit["Job"].([]any); len(job) == 2 { // its number, 0 for none, and its path
		id, _ := job[0].(uint32)
		s.queued = id != 0
	}
	return s, nil
}

// start orders a unit to be started and does not wait: whoever orders it waits
// for what it is for, and meanwhile systemd may restart it.
func (u units) start(ctx context.Context, name string) error {
	if _, err := u.StartUnitContext(ctx, name, "replace", nil); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	return nil
}

// stop has a unit stopped, and waits until it is.
func (u units) stop(ctx context.Context, name string) error {
	done := make(chan string, 1)
	if _, err := u.StopUnitContext(ctx, name, "replace", done); err != nil {
		return fmt.Errorf("stop %s: %w", name, err)
	}
	select {
	case result := <-done:
		if result != "done" {
			return fmt.Errorf("stop %s: %s; see journalctl -b -u %[1]s", name, result)
		}
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

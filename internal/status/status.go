// Package status is the report of a node on itself: what this boot made of it,
// and, asked for at that moment, how its services are. It holds no secret, so
// that everybody may read it.
package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"banyan/internal/converge"
	"banyan/internal/node"
	"banyan/seeds"
)

// Path is where the report of this boot lies.
const Path = "/run/banyan/status.json"

// State is how far a node, or a step, has come.
type State string

// The states of a report. A step is Running, Done or Failed.
const (
	Waiting State = "waiting for a seed"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// Report is what happened in this boot.
type Report struct {
	State          State             `json:"state"`
	Node           string            `json:"node,omitempty"`
	Cluster        string            `json:"cluster,omitempty"`
	Address        string            `json:"address,omitempty"`         // without a prefix length
	PostgreSQLPort uint16            `json:"postgresql_port,omitempty"` // 0 where it does not run
	PatroniPort    uint16            `json:"patroni_port,omitempty"`    // of its REST API
	EtcdMember     bool              `json:"etcd_member,omitempty"`     // it runs a member of etcd
	Access         node.Access       `json:"access,omitzero"`           // where clients reach the cluster
	Versions       map[string]string `json:"versions,omitempty"`        // of what the node is made with
	Unapplied      []string          `json:"unapplied,omitempty"`       // keys of the seed that are for a later Patroni
	Seed           string            `json:"seed,omitempty"`            // what there is to say of a newer one
	Steps          []Step            `json:"steps,omitempty"`
	Sources        []seeds.Outcome   `json:"sources,omitempty"` // where a seed was looked for
	Started        time.Time         `json:"started,omitzero"`
	Updated        time.Time         `json:"updated,omitzero"`
}

// Step is one step of the node's flow.
type Step struct {
	Name    string    `json:"name"`
	State   State     `json:"state"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"` // until it ended, or the report was updated
	Message string    `json:"message,omitempty"`
	Error   string    `json:"error,omitempty"`
	Look    string    `json:"look,omitempty"` // the command that shows more of the error
	// What this machine cannot have, such as a parameter that its kernel lacks.
	Skipped []converge.Skipped `json:"skipped,omitempty"`
}

// Begin opens a step. The one that was open is done, unless it is the same.
func (r *Report) Begin(name string) {
	if s := r.open(); s != nil {
		if s.Name == name {
			return
		}
		r.End(nil, "")
	}
	r.Steps = append(r.Steps, Step{Name: name, State: Running, Started: r.now()})
}

// Note says what the open step is doing.
func (r *Report) Note(message string) {
	if s := r.open(); s != nil {
		s.Message = message
		s.Seconds = r.since(s.Started)
	}
}

// Skip says what of the open step this machine cannot have.
func (r *Report) Skip(skipped []converge.Skipped) {
	if s := r.open(); s != nil {
		s.Skipped = skipped
	}
}

// End closes the open step. look is the command that shows more of err; without
// an error it is not kept.
func (r *Report) End(err error, look string) {
	s := r.open()
	if s == nil {
		return
	}
	s.State, s.Seconds = Done, r.since(s.Started)
	if err != nil {
		s.State, s.Error, s.Look = Failed, err.Error(), look
	}
}

// open is the step that is running, or nil.
func (r *Report) open() *Step {
	if n := len(r.Steps); n > 0 && r.Steps[n-1].State == Running {
		return &r.Steps[n-1]
	}
	return nil
}

func (r *Report) now() time.Time {
	r.Updated = time.Now()
	return r.Updated
}

func (r *Report) since(t time.Time) float64 { return r.now().Sub(t).Round(time.Millisecond).Seconds() }

// Write puts the report where everybody may read it, in one piece.
func Write(path string, r Report) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(path, append(content, '\n'), 0o644, renameio.WithTempDir(filepath.Dir(path)))
}

// Read reads a report. There is none before the node's first step of this boot.
func Read(path string) (Report, error) {
	var r Report
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("nothing is reported yet in this boot (journalctl -b -u banyan-firstboot): %w", err)
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

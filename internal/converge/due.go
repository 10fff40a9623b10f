package converge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
)

// dueFile outlives a run that was cut off and no boot, after which all units have
// started anew.
const dueFile = "/run/banyan/due.json"

// due is what units still have to be told: of each unit the IDs that changed since it
// was last told. A run that is cut off between the change of a file and the restart of
// a unit would leave it with the old one otherwise, as nothing differs any more.
type due struct {
	path  string // "" where nothing is kept: off line, and under Diff
	units map[string][]string
	users map[string][]string // the units that each ID is of concern to
}

func openDue(m Machine, s State, keep bool) (*due, error) {
	d := &due{units: map[string][]string{}, users: map[string][]string{}}
	if !m.Live {
		return d, nil
	}
	for _, step := range s.Steps {
		for _, r := range step.Resources {
			if u, ok := r.(Unit); ok {
				for _, id := range slices.Concat(u.ReloadOn, u.RestartOn) {
					d.users[id] = append(d.users[id], u.Name)
				}
			}
		}
	}
	path := m.path(dueFile)
	if keep {
		d.path = path
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(content, &d.units); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w; remove it, and restart the units whose files have changed", path, err)
	}
	return d, nil
}

// of is what a resource is told of: all that changed in this run, and for a unit also
// what it has not been told of before.
func (d *due) of(r Resource, changed Changed) Changed {
	if len(d.units[r.ID()]) == 0 {
		return changed
	}
	all := Changed{}
	for id := range changed {
		all[id] = true
	}
	for _, id := range d.units[r.ID()] {
		all[id] = true
	}
	return all
}

// note keeps, before it happens, that a resource changes.
func (d *due) note(id string) error {
	news := false
	for _, unit := range d.users[id] {
		if !slices.Contains(d.units[unit], id) {
			d.units[unit], news = append(d.units[unit], id), true
		}
	}
	if !news {
		return nil
	}
	return d.write()
}

// settle forgets what a unit has been told of.
func (d *due) settle(r Resource) error {
	if len(d.units[r.ID()]) == 0 || d.path == "" {
		return nil
	}
	delete(d.units, r.ID())
	return d.write()
}

func (d *due) write() error {
	if d.path == "" {
		return nil
	}
	content, err := json.Marshal(d.units)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(d.path), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(d.path, content, 0o600, renameio.WithTempDir(filepath.Dir(d.path)))
}

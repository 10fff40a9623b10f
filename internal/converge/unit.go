package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// Unit is a systemd unit. Off line only its enablement is made; PID 1 does the
// rest when it starts.
type Unit struct {
	Name      string // with its suffix
	Enabled   bool
	Masked    bool     // nothing can start it; it is neither enabled nor running then
	Running   bool     // started if it is not; false leaves it as it is
	ReloadOn  []string // resources whose change it has to be told, if it runs
	RestartOn []string // resources whose change it only sees when it starts
}

// ID is the unit's name.
func (u Unit) ID() string { return u.Name }

// action is something to be done with a unit; actions are done in this order.
type action string

const (
	unmask       action = "unmask"
	enable       action = "enable"
	disable      action = "disable"
	stop         action = "stop"
	mask         action = "mask"
	daemonReload action = "daemon-reload"
	start        action = "start"
	restart      action = "restart"
	reload       action = "reload"
)

// unitState is what systemd knows of a unit.
type unitState struct {
	enabled bool
	fixed   bool // it cannot be disabled: its file says nothing of it, or a generator made it
	masked  bool
	active  bool // it runs, or is on its way to
	stale   bool // its files have changed since systemd read them
	barred  bool // its conditions did not hold when it was last to be started
	foreign bool // this systemd starts no such unit, as no swap in a container
}

// actions says what brings a unit from that state to u.
func (u Unit) actions(s unitState, live bool, changed Changed) []action {
	var do []action
	add := func(a action, when bool) {
		if when {
			do = append(do, a)
		}
	}
	add(unmask, s.masked && !u.Masked)
	add(enable, u.Enabled && !s.enabled)
	add(disable, !u.Enabled && s.enabled && !s.fixed && !s.masked)
	if live {
		add(stop, u.Masked && s.active)
	}
	add(mask, u.Masked && !s.masked)
	if !live {
		return do
	}
	// systemd reads what was enabled when it reads its units.
	add(daemonReload, s.stale || len(do) > 0)
	isChanged := func(id string) bool { return changed[id] }
	restarts, reloads := slices.ContainsFunc(u.RestartOn, isChanged), slices.ContainsFunc(u.ReloadOn, isChanged)
	switch {
	case u.Masked:
	case !s.active:
		add(start, u.Running && !s.foreign && (!s.barred || restarts || reloads))
	case restarts:
		add(restart, true)
	default:
		add(reload, reloads)
	}
	return do
}

// Diff lists what is to be done. A unit that is to run and whose conditions do not
// hold on this machine is skipped, and so is one that systemd cannot start here.
func (u Unit) Diff(ctx context.Context, m Machine, changed Changed) (Difference, error) {
	s, err := u.state(ctx, m)
	if err != nil {
		return Difference{}, err
	}
	if changed[u.Name] { // by an earlier resource of this run: the files are as they shall be
		s.enabled, s.masked, s.stale = u.Enabled, u.Masked, false
	}
	var words []string
	for _, a := range u.actions(s, m.Live, changed) {
		words = append(words, string(a))
	}
	if len(words) == 0 && m.Live && u.Running && !s.active {
		if s.foreign {
			return Difference{}, notStartable(start)
		}
		return Difference{}, skip("a condition of the unit does not hold here; systemctl status %s says which", u.Name)
	}
	return Difference{What: strings.Join(words, ", ")}, nil
}

// Apply does it.
func (u Unit) Apply(ctx context.Context, m Machine, changed Changed) error {
	s, err := u.state(ctx, m)
	if err != nil {
		return err
	}
	for _, a := range u.actions(s, m.Live, changed) {
		if err := u.do(ctx, m, a); err != nil {
			return fmt.Errorf("%s: %w", a, err)
		}
	}
	return nil
}

func (u Unit) state(ctx context.Context, m Machine) (unitState, error) {
	if !m.Live {
		return u.stateOffLine(ctx, m)
	}
	p, err := m.bus.properties(ctx, u.Name)
	if err != nil {
		return unitState{}, err
	}
	var s unitState
	// These are what systemctl(1) is-enabled takes for enabled.
	s.enabled = slices.Contains([]any{"enabled", "enabled-runtime", "static", "alias", "indirect", "generated"}, p["UnitFileState"])
	s.fixed = slices.Contains(fixedStates, p["UnitFileState"])
	s.masked = p["LoadState"] == "masked"
	s.stale, _ = p["NeedDaemonReload"].(bool)
	if read, ok := p["DropInPaths"].([]string); ok && p["LoadState"] == "loaded" && !s.stale {
		if s.stale, err = m.hasUnread(u.Name, read); err != nil {
			return unitState{}, err
		}
	}
	s.active = slices.Contains([]any{"active", "reloading", "activating"}, p["ActiveState"])
	s.foreign = p["LoadState"] == "loaded" && p["CanStart"] == false
	asked, _ := p["ConditionTimestampMonotonic"].(uint64)
	s.barred = asked > 0 && p["ConditionResult"] == false
	return s, nil
}

// hasUnread tells whether a unit has a drop-in that systemd has not read: those that it
// has are read. Before version 257 NeedDaemonReload says nothing of a drop-in whose
// directory is new, since systemd remembers which there are:
// https://github.com/systemd/systemd/pull/33963. Of two with one name it reads one.
func (m Machine) hasUnread(unit string, read []string) (bool, error) {
	for _, dir := range []string{"/etc/systemd/system/", "/run/systemd/system/"} {
		names, err := filepath.Glob(m.path(dir + unit + ".d/*.conf"))
		if err != nil {
			return false, err
		}
		for _, name := range names {
			if !slices.ContainsFunc(read, func(path string) bool { return filepath.Base(path) == filepath.Base(name) }) {
				return true, nil
			}
		}
	}
	return false, nil
}

// fixedStates are those in which systemctl(1) takes a unit for enabled and that it cannot
// change.
var fixedStates = []any{"static", "generated"}

func (u Unit) stateOffLine(ctx context.Context, m Machine) (unitState, error) {
	// is-enabled exits with 1 for every state that is none of enablement, and
	// for a unit that does not exist: enable then says so.
	state, err := systemctl(ctx, m, "is-enabled", u.Name)
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return unitState{}, err
	}
	target, linkErr := os.Readlink(m.path("/etc/systemd/system/" + u.Name))
	if linkErr != nil && !errors.Is(linkErr, fs.ErrNotExist) && !errors.Is(linkErr, unix.EINVAL) { // EINVAL: it is a file
		return unitState{}, linkErr
	}
	return unitState{enabled: err == nil, fixed: slices.Contains(fixedStates, any(strings.TrimSpace(state))), masked: target == "/dev/null"}, nil
}

func (u Unit) do(ctx context.Context, m Machine, a action) error {
	switch a {
	case enable, disable, mask, unmask:
		if !m.Live {
			_, err := systemctl(ctx, m, string(a), u.Name)
			return err
		}
		return m.bus.changeFiles(ctx, a, u.Name)
	case daemonReload:
		return m.bus.reload(ctx)
	}
	return m.bus.job(ctx, a, u.Name)
}

// systemctl runs a verb that works on unit files, and on nothing else: there is no PID 1
// that would have to know, or it learns of it when it starts.
func systemctl(ctx context.Context, m Machine, verb, unit string) (string, error) {
	c := command.Command{Name: "systemctl", Args: []string{verb, unit}, Env: []string{"SYSTEMD_OFFLINE=1"}}
	if m.Root != "/" {
		c.Args = append([]string{"--root=" + m.Root}, c.Args...)
	}
	return c.Run(ctx)
}

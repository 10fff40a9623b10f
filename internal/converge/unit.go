package converge

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/dbus"

	"banyan/internal/command"
)

// Unit is a systemd unit. Off line only its enablement is made; PID 1 does the
// rest when it starts.
type Unit struct {
	Name      string // with its suffix
	Enabled   bool
	Running   bool     // started if it is not; false leaves it as it is
	ReloadOn  []string // resources whose change it has to be told, if it runs
	RestartOn []string // resources whose change it only sees when it starts
}

// ID is the unit's name.
func (u Unit) ID() string { return u.Name }

// action is something to be done with a unit; actions are done in this order.
type action string

const (
	enable       action = "enable"
	disable      action = "disable"
	daemonReload action = "daemon-reload"
	start        action = "start"
	restart      action = "restart"
	reload       action = "reload"
)

// unitState is what systemd knows of a unit.
type unitState struct {
	enabled bool
	active  bool // it runs, or is on its way to
	stale   bool // its files have changed since systemd read them
}

// actions says what brings a unit from that state to u.
func (u Unit) actions(s unitState, live bool, changed Changed) []action {
	var do []action
	if u.Enabled && !s.enabled {
		do = append(do, enable)
	}
	if !u.Enabled && s.enabled {
		do = append(do, disable)
	}
	if !live {
		return do
	}
	if s.stale {
		do = append(do, daemonReload)
	}
	isChanged := func(id string) bool { return changed[id] }
	switch {
	case !s.active && u.Running:
		do = append(do, start)
	case s.active && slices.ContainsFunc(u.RestartOn, isChanged):
		do = append(do, restart)
	case s.active && slices.ContainsFunc(u.ReloadOn, isChanged):
		do = append(do, reload)
	}
	return do
}

// Diff lists what is to be done.
func (u Unit) Diff(ctx context.Context, m Machine, changed Changed) (string, error) {
	s, err := u.state(ctx, m)
	if err != nil {
		return "", err
	}
	var words []string
	for _, a := range u.actions(s, m.Live, changed) {
		words = append(words, string(a))
	}
	return strings.Join(words, ", "), nil
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
	var s unitState
	// is-enabled exits with 1 for every state that is none of enablement, and
	// for a unit that does not exist: enable then says so.
	err := systemctl(ctx, m, "is-enabled", u.Name)
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		return s, err
	}
	s.enabled = err == nil
	if !m.Live {
		return s, nil
	}
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return s, fmt.Errorf("ask systemd for %s: %w", u.Name, err)
	}
	defer conn.Close()
	p, err := conn.GetUnitPropertiesContext(ctx, u.Name)
	if err != nil {
		return s, fmt.Errorf("ask systemd for %s: %w", u.Name, err)
	}
	s.stale, _ = p["NeedDaemonReload"].(bool)
	s.active = slices.Contains([]any{"active", "reloading", "activating"}, p["ActiveState"])
	return s, nil
}

func (u Unit) do(ctx context.Context, m Machine, a action) error {
	if a == enable || a == disable {
		return systemctl(ctx, m, string(a), u.Name)
	}
	conn, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if a == daemonReload {
		return conn.ReloadContext(ctx)
	}
	job := map[action]func(context.Context, string, string, chan<- string) (int, error){
		start:   conn.StartUnitContext,
		restart: conn.RestartUnitContext,
		reload:  conn.ReloadOrRestartUnitContext,
	}[a]
	done := make(chan string, 1)
	if _, err := job(ctx, u.Name, "replace", done); err != nil {
		return err
	}
	select {
	case result := <-done:
		if result != "done" {
			return fmt.Errorf("%s; see journalctl -u %s", result, u.Name)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// systemctl runs a verb that works on unit files, and on nothing else: PID 1, if
// there is one, learns of it at its next reload or start, which is when it counts.
func systemctl(ctx context.Context, m Machine, verb, unit string) error {
	c := command.Command{Name: "systemctl", Args: []string{verb, "--quiet", unit}, Env: []string{"SYSTEMD_OFFLINE=1"}}
	if m.Root != "/" {
		c.Args = append([]string{"--root=" + m.Root}, c.Args...)
	}
	_, err := c.Run(ctx)
	return err
}

package converge

import (
	"context"
	"fmt"

	"github.com/coreos/go-systemd/v22/dbus"
)

// bus is a connection to systemd, made when it is first needed.
type bus struct{ conn *dbus.Conn }

func (b *bus) connect(ctx context.Context) (*dbus.Conn, error) {
	if b.conn == nil {
		conn, err := dbus.NewSystemdConnectionContext(ctx)
		if err != nil {
			return nil, fmt.Errorf("connect to systemd: %w", err)
		}
		b.conn = conn
	}
	return b.conn, nil
}

func (b *bus) close() {
	if b.conn != nil {
		b.conn.Close()
	}
}

func (b *bus) properties(ctx context.Context, unit string) (map[string]any, error) {
	conn, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	p, err := conn.GetUnitPropertiesContext(ctx, unit)
	if err != nil {
		return nil, fmt.Errorf("ask systemd for %s: %w", unit, err)
	}
	return p, nil
}

// changeFiles enables, disables, masks or unmasks a unit, as systemctl does.
func (b *bus) changeFiles(ctx context.Context, a action, unit string) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return err
	}
	units := []string{unit}
	switch a {
	case enable:
		_, _, err = conn.EnableUnitFilesContext(ctx, units, false, true)
	case disable:
		_, err = conn.DisableUnitFilesContext(ctx, units, false)
	case mask:
		_, err = conn.MaskUnitFilesContext(ctx, units, false, true)
	case unmask:
		_, err = conn.UnmaskUnitFilesContext(ctx, units, false)
	}
	return err
}

func (b *bus) reload(ctx context.Context) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return err
	}
	return conn.ReloadContext(ctx)
}

// job has systemd start, stop, restart or reload a unit, and waits until that is done.
func (b *bus) job(ctx context.Context, a action, unit string) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return err
	}
	order := map[action]func(context.Context, string, string, chan<- string) (int, error){
		start:   conn.StartUnitContext,
		stop:    conn.StopUnitContext,
		restart: conn.RestartUnitContext,
		reload:  conn.ReloadOrRestartUnitContext,
	}[a]
	done := make(chan string, 1)
	if _, err := order(ctx, unit, "replace", done); err != nil {
		return err
	}
	select {
	case result := <-done:
		switch result {
		case "done":
			return nil
		case "unsupported": // swap in a container, say
			return notStartable(a)
		default:
			return fmt.Errorf("%s; see journalctl -b -u %s", result, unit)
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

func notStartable(a action) error { return skip("systemd cannot %s it on this machine", a) }

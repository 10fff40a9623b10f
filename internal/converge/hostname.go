package converge

import (
	"context"
	"fmt"
	"os"
	"syscall"
)

// Hostname is the host name that the kernel holds. The next boot takes it from
// /etc/hostname, which is a [File].
type Hostname struct {
	Name string
}

// ID is "hostname".
func (Hostname) ID() string { return "hostname" }

// Diff compares the kernel's host name, on a live machine only.
func (h Hostname) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	if !m.Live {
		return Difference{}, nil
	}
	old, err := os.Hostname()
	if err != nil || old == h.Name {
		return Difference{}, err
	}
	return Difference{What: fmt.Sprintf("change %s to %s", old, h.Name)}, nil
}

// Apply calls sethostname(2).
func (h Hostname) Apply(context.Context, Machine, Changed) error {
	if err := syscall.Sethostname([]byte(h.Name)); err != nil {
		return fmt.Errorf("sethostname: %w", err)
	}
	return nil
}

package converge

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
)

// Device is a device, or a link to one, that udev makes by a rule of ours: its owner and
// its mode are what the rule says, and what this looks for.
type Device struct {
	Path      string
	Subsystem string // the devices that the rule is about: a directory of /sys/class
	Owner     string // and the owner's own group
	Mode      fs.FileMode
}

// ID is the device's path.
func (d Device) ID() string { return d.Path }

// Diff looks at the device, on a live machine that has one.
func (d Device) Diff(_ context.Context, m Machine, _ Changed) (Difference, error) {
	if !m.Live {
		return Difference{}, nil
	}
	devices, err := os.ReadDir(m.path("/sys/class/" + d.Subsystem))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Difference{}, err
	}
	if len(devices) == 0 {
		return Difference{}, skip("this machine has no %s", d.Subsystem)
	}
	if err := unix.Access(m.path("/sys"), unix.W_OK); err != nil { // see systemd-udevd.service
		return Difference{}, skip("no udev runs here: /sys: %v", err)
	}
	info, err := os.Stat(m.path(d.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return Difference{What: "have udev make it"}, nil
	}
	if err != nil {
		return Difference{}, err
	}
	diff, err := ownerDiff(m, info, d.Owner, "", d.Mode)
	if err != nil || len(diff) == 0 {
		return Difference{}, err
	}
	return Difference{What: "have udev change " + strings.Join(diff, ", ")}, nil
}

// Apply has udev read its rules and follow them.
func (d Device) Apply(ctx context.Context, _ Machine, _ Changed) error {
	if _, err := command.Run(ctx, "udevadm", "control", "--reload"); err != nil {
		return err
	}
	_, err := command.Run(ctx, "udevadm", "trigger", "--settle", "--action=change", "--subsystem-match="+d.Subsystem, "--subsystem-match=misc")
	return err
}

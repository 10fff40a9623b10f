package converge

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDevice(t *testing.T) {
	m := machine(t)
	d := Device{Path: "/dev/banyan-watchdog", Subsystem: "watchdog", Owner: "postgres", Mode: 0o600}
	look := func(want string) {
		t.Helper()
		report, err := Diff(t.Context(), m, one(d))
		if got := summary(report)[0]; err != nil || got != "step:"+want && (len(changes(report)) != 1 || changes(report)[0] != want) {
			t.Errorf("%q, %q, %v; want %q", got, changes(report), err, want)
		}
	}
	look("") // off line
	m.Live = true
	look(" skipped /dev/banyan-watchdog (this machine has no watchdog)")
	if err := os.MkdirAll(m.path("/sys/class/watchdog"), 0o755); err != nil {
		t.Fatal(err)
	}
	look(" skipped /dev/banyan-watchdog (this machine has no watchdog)")
	write(t, m.path("/sys/class/watchdog/watchdog0/identity"), "Software Watchdog\n")
	look("/dev/banyan-watchdog: have udev make it")
	write(t, m.path("/dev/watchdog0"), "")
	if err := os.Symlink("watchdog0", m.path(d.Path)); err != nil {
		t.Fatal(err)
	}
	look("/dev/banyan-watchdog: have udev change owner 0:0 to postgres:postgres, mode 0644 to 0600")
	if err := os.Chown(m.path(d.Path), 104, 107); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(m.path(d.Path), 0o600); err != nil {
		t.Fatal(err)
	}
	look("")

	// As in a container, where no udev runs.
	if err := unix.Mount(m.path("/sys"), m.path("/sys"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(m.path("/sys"), 0); err != nil {
			t.Error(err)
		}
	}()
	if err := unix.Mount("none", m.path("/sys"), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	look(" skipped /dev/banyan-watchdog (no udev runs here: /sys: read-only file system)")
}

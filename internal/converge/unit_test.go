package converge

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestUnitActions(t *testing.T) {
	unit := Unit{Name: "x.service", Enabled: true, Running: true, ReloadOn: []string{"/etc/reload"}, RestartOn: []string{"/etc/restart"}}
	idle := Unit{Name: "x.service", RestartOn: []string{"/etc/restart"}}
	banned := Unit{Name: "x.service", Masked: true, RestartOn: []string{"/etc/restart"}}
	both := Changed{"/etc/reload": true, "/etc/restart": true}
	tests := map[string]struct {
		unit    Unit
		state   unitState
		live    bool
		changed Changed
		want    []action
	}{
		"all is well":            {unit, unitState{enabled: true, active: true}, true, Changed{"/etc/other": true}, nil},
		"new":                    {unit, unitState{}, true, both, []action{enable, daemonReload, start}},
		"new, with a drop-in":    {unit, unitState{stale: true}, true, nil, []action{enable, daemonReload, start}},
		"off line":               {unit, unitState{stale: true}, false, both, []action{enable}},
		"stopped":                {unit, unitState{enabled: true}, true, nil, []action{start}},
		"to be told":             {unit, unitState{enabled: true, active: true}, true, Changed{"/etc/reload": true}, []action{reload}},
		"to start anew":          {unit, unitState{enabled: true, active: true, stale: true}, true, both, []action{daemonReload, restart}},
		"not ours to start":      {idle, unitState{}, true, both, nil},
		"runs all the same":      {idle, unitState{active: true}, true, both, []action{restart}},
		"ought to be disabled":   {idle, unitState{enabled: true, active: true}, true, nil, []action{disable, daemonReload}},
		"ought to be, off line":  {idle, unitState{enabled: true}, false, nil, []action{disable}},
		"cannot be disabled":     {idle, unitState{enabled: true, fixed: true, active: true}, true, nil, nil},
		"masked":                 {banned, unitState{masked: true}, true, both, nil},
		"to be masked":           {banned, unitState{enabled: true, active: true}, true, nil, []action{disable, stop, mask, daemonReload}},
		"to be masked, off line": {banned, unitState{}, false, nil, []action{mask}},
		"no longer masked":       {unit, unitState{masked: true}, true, nil, []action{unmask, enable, daemonReload, start}},
		"barred":                 {unit, unitState{enabled: true, barred: true}, true, nil, nil},
		"barred until now":       {unit, unitState{enabled: true, barred: true}, true, both, []action{start}},
		"a changed drop-in only": {idle, unitState{active: true, stale: true}, true, nil, []action{daemonReload}},
	}
	for name, test := range tests {
		if got := test.unit.actions(test.state, test.live, test.changed); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestHasUnread(t *testing.T) {
	m := Machine{Root: t.TempDir()}
	for _, name := range []string{"etc/systemd/system/x.service.d/a.conf", "run/systemd/system/x.service.d/a.conf", "run/systemd/system/x.service.d/z.conf", "run/systemd/system/y.service.d/b.conf"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(m.path(name)), 0o755), os.WriteFile(m.path(name), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	const a, z = "/etc/systemd/system/x.service.d/a.conf", "/run/systemd/system/x.service.d/z.conf"
	for name, test := range map[string]struct {
		unit string
		read []string
		want bool
	}{
		"all are read":             {"x.service", []string{a, z}, false},
		"one in a new directory":   {"x.service", []string{a}, true},
		"none is read":             {"x.service", nil, true},
		"there is none":            {"w.service", nil, false},
		"that of the distribution": {"w.service", []string{"/usr/lib/systemd/system/w.service.d/c.conf"}, false},
	} {
		if got, err := m.hasUnread(test.unit, test.read); got != test.want || err != nil {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}

func TestUnitOffLine(t *testing.T) {
	m := machine(t)
	write(t, m.path("/usr/lib/systemd/system/x.service"), "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
	link := m.path("/etc/systemd/system/multi-user.target.wants/x.service")

	apply(t, m, Unit{Name: "x.service", Enabled: true, Running: true})
	if _, err := os.Lstat(link); err != nil {
		t.Error(err)
	}
	if again := apply(t, m, Unit{Name: "x.service", Enabled: true, Running: true}); len(changes(again)) != 0 {
		t.Errorf("a second Apply changed %q", changes(again))
	}
	if off := apply(t, m, Unit{Name: "x.service"}); changes(off)[0] != "x.service: disable" {
		t.Errorf("disabling changed %q", changes(off))
	}
	if _, err := os.Lstat(link); err == nil {
		t.Error("the unit is still enabled")
	}

	write(t, m.path("/usr/lib/systemd/system/static.service"), "[Service]\nExecStart=/bin/true\n")
	for _, enabled := range []bool{true, false} {
		if got := changes(apply(t, m, Unit{Name: "static.service", Enabled: enabled})); len(got) != 0 {
			t.Errorf("of a unit that cannot be enabled was changed %q", got)
		}
	}
	if masked := apply(t, m, Unit{Name: "x.service", Masked: true}); changes(masked)[0] != "x.service: mask" {
		t.Errorf("masking changed %q", changes(masked))
	}
	if free := apply(t, m, Unit{Name: "x.service", Enabled: true}); changes(free)[0] != "x.service: unmask, enable" {
		t.Errorf("unmasking changed %q", changes(free))
	}

	if absent := apply(t, m, Unit{Name: "absent.service"}); len(changes(absent)) != 0 {
		t.Errorf("not to have a unit that is not there changed %q", changes(absent))
	}
	_, err := Apply(t.Context(), m, one(Unit{Name: "absent.service", Enabled: true}), nil)
	if err == nil || !strings.Contains(err.Error(), "absent.service: enable: systemctl: exit status 1") {
		t.Errorf("the error of enabling a unit that is not there is %v", err)
	}
}

// The test has a host name of its own.
func TestHostname(t *testing.T) {
	m := machine(t)
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := syscall.Unshare(syscall.CLONE_NEWUTS); err != nil {
		t.Fatal(err)
	}
	before, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m, Hostname{Name: "off-line"})
	if now, err := os.Hostname(); now != before {
		t.Errorf("off line the host name became %s (%v)", now, err)
	}
	m.Live = true
	apply(t, m, Hostname{Name: "pgsql-n1"})
	if now, err := os.Hostname(); now != "pgsql-n1" {
		t.Errorf("the host name is %s (%v)", now, err)
	}
	if again := apply(t, m, Hostname{Name: "pgsql-n1"}); len(changes(again)) != 0 {
		t.Errorf("a second Apply changed %q", changes(again))
	}
}

package member

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	var (
		absent = initialize{}
		empty  = initialize{there: true}
		junk   = initialize{there: true, value: "somebody"}
		sysid  = initialize{there: true, value: "7711116296981745808"}
	)
	for _, test := range []struct {
		initialize  initialize
		data, begun bool
		want        course
	}{
		{sysid, false, false, carryOn},
		{sysid, false, true, carryOn},
		{sysid, true, false, carryOn},
		{sysid, true, true, carryOn},

		{absent, false, false, begin},
		{absent, false, true, begin},
		{empty, false, false, begin},
		{empty, false, true, begin},
		{junk, false, true, begin},

		{absent, true, true, startOver},
		{empty, true, true, startOver},
		{junk, true, true, startOver},

		{absent, true, false, carryOn},
		{empty, true, false, carryOn},
		{junk, true, false, carryOn},
	} {
		if got := decide(findings{test.initialize, test.data, test.begun}); got != test.want {
			t.Errorf("%s, data %t, begun %t: %s, want %s", test.initialize, test.data, test.begun, got, test.want)
		}
	}
}

func TestHoldsData(t *testing.T) {
	for _, test := range []struct {
		files []string
		want  bool
	}{
		{nil, false},
		{[]string{"lost+found", ".snapshot"}, false},
		{[]string{"lost+found", "PG_VERSION"}, true},
	} {
		dir := t.TempDir()
		for _, f := range test.files {
			if err := os.WriteFile(filepath.Join(dir, f), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := holdsData(dir); got != test.want || err != nil {
			t.Errorf("%v: %t, error %v", test.files, got, err)
		}
	}
	if got, err := holdsData(filepath.Join(t.TempDir(), "absent")); got || err != nil {
		t.Errorf("an absent directory: %t, error %v", got, err)
	}
}

func TestMoveAside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "main")
	if err := os.MkdirAll(filepath.Join(dir, "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	aside, err := moveAside(dir, time.Date(2026, 11, 22, 21, 23, 45, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if aside != dir+".interrupted-20261122T212345Z" {
		t.Errorf("moved to %s", aside)
	}
	if _, err := os.Stat(filepath.Join(aside, "base")); err != nil {
		t.Errorf("what it held is lost: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there", dir)
	}
}

func TestRefuseIfServed(t *testing.T) {
	dir := t.TempDir()
	pidFile := filepath.Join(dir, "postmaster.pid")
	refuse := func(content string) error {
		if err := os.WriteFile(pidFile, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return refuseIfServed(dir)
	}
	if err := refuseIfServed(dir); err != nil {
		t.Errorf("without a pid file: %v", err)
	}
	if err := refuse(""); err != nil {
		t.Errorf("half a pid file: %v", err)
	}
	if err := refuse(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		t.Errorf("the id of a process that works elsewhere: %v", err)
	}

	server := exec.CommandContext(t.Context(), "cat") // stands in for a postmaster
	server.Dir = dir
	input, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(server.Process.Pid)
	if err := refuse(pid + "\n" + dir + "\n"); err == nil || !strings.Contains(err.Error(), "process "+pid+") runs in "+dir) {
		t.Errorf("a server that runs: %v", err)
	}
	if err := errors.Join(input.Close(), server.Wait()); err != nil {
		t.Fatal(err)
	}
	if err := refuseIfServed(dir); err != nil {
		t.Errorf("a server that has ended: %v", err)
	}
}

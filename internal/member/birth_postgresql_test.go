package member

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestDecidePostgreSQL(t *testing.T) {
	var (
		absent = initializeKey{}
		empty  = initializeKey{there: true}
		junk   = initializeKey{there: true, value: "somebody"}
		sysid  = initializeKey{there: true, value: "7711116296981745808"}
	)
	for _, test := range []struct {
		initialize  initializeKey
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
		if got := decidePostgreSQL(findings{test.initialize, test.data, test.begun}); got != test.want {
			t.Errorf("%s, data %t, begun %t: %s, want %s", test.initialize, test.data, test.begun, got, test.want)
		}
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

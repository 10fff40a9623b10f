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
	born := initializeKey{there: true, value: "7711116296981745808"}
	unborn := map[string]initializeKey{"absent": {}, "empty": {there: true}, "junk": {there: true, value: "somebody"}}
	for _, test := range []struct {
		findings
		want course
	}{
		{findings{first: true}, begin},
		{findings{}, begin},
		{findings{begun: true}, begin},
		{findings{data: true, begun: true}, startOver},
		{findings{data: true, begun: true, replica: true}, startOver},
		{findings{data: true}, adopt},
		{findings{data: true, first: true}, adopt},
		{findings{data: true, replica: true}, carryOn},
		{findings{data: true, standby: true}, carryOn},
		{findings{standby: true}, begin},

		{findings{existing: true}, wait},
		{findings{existing: true, data: true}, wait},
		{findings{existing: true, data: true, begun: true}, wait},
		{findings{existing: true, first: true}, refuse},
		{findings{existing: true, first: true, begun: true}, refuse},
		{findings{existing: true, first: true, data: true, begun: true}, refuse},
		{findings{existing: true, first: true, data: true, replica: true}, refuse},
		{findings{existing: true, first: true, data: true, replica: true, standby: true}, carryOn},
		{findings{existing: true, first: true, data: true, standby: true}, carryOn},
		{findings{existing: true, first: true, standby: true}, refuse},
		{findings{existing: true, first: true, data: true}, adopt},
	} {
		for name, key := range unborn {
			test.initialize = key
			if got := decidePostgreSQL(test.findings); got != test.want {
				t.Errorf("%s, %+v: %s, want %s", name, test.findings, got, test.want)
			}
		}
		test.initialize = born
		if got := decidePostgreSQL(test.findings); got != carryOn {
			t.Errorf("born, %+v: %s", test.findings, got)
		}
	}
}

// What is refused says the key of the seed and a way out.
func TestRefuseExisting(t *testing.T) {
	for what, f := range map[string]findings{"no data": {}, "interrupted": {data: true, begun: true}, "replica": {data: true, replica: true}} {
		err := refuseExisting(f, "/data")
		if said := err.Error(); !strings.HasPrefix(said, "postgresql.existing: /data holds") || !strings.Contains(said, what) || !strings.Contains(said, "out of the seed") {
			t.Errorf("%+v: %v", f, err)
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

package member

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"banyan/internal/dcs"
	"banyan/internal/peer"
	"banyan/seeds"
)

func TestDecidePostgreSQL(t *testing.T) {
	const own, foreign = "7711116296981745808", "7711116296981745809"
	var (
		absent = dcs.Initialize{}
		empty  = dcs.Initialize{There: true}
		born   = dcs.Initialize{There: true, Value: own}
		early  = peer.Progress{Timeline: 1, LSN: 10}
		late   = peer.Progress{Timeline: 2, LSN: 5}
	)
	is := func(name string, h peer.Holding, p peer.Progress) peer.Result {
		return peer.Result{Node: seeds.Node{Name: name}, Answer: peer.Answer{PostgreSQL: h, Progress: p}}
	}
	all := func(n1, n2 peer.Result) []peer.Result { return []peer.Result{n1, n2} }
	nothing := all(is("n1", peer.Nothing, peer.Progress{}), is("n2", peer.Nothing, peer.Progress{}))
	dead := is("n2", "", peer.Progress{})
	dead.Err = errors.New("no route to host")

	for name, test := range map[string]struct {
		findings
		want course
	}{
		"born, empty":                      {findings{initialize: born, own: peer.Nothing}, carryOn},
		"born, lost":                       {findings{initialize: born, own: peer.Lost}, carryOn},
		"born, its data":                   {findings{initialize: born, own: peer.Data, systemID: own}, carryOn},
		"born, a birth's end":              {findings{initialize: born, own: peer.Begun, systemID: own}, carryOn},
		"born, another birth":              {findings{initialize: born, own: peer.Begun, systemID: foreign}, startOver},
		"born, half a birth":               {findings{initialize: born, own: peer.Begun}, startOver},
		"born, half a copy":                {findings{initialize: born, own: peer.Begun, copying: true}, startOver},
		"born, all of a copy":              {findings{initialize: born, own: peer.Begun, copying: true, systemID: own}, startOver},
		"born, data of nobody":             {findings{initialize: born, own: peer.Data}, refuse},
		"born, foreign":                    {findings{initialize: born, own: peer.Data, systemID: foreign}, refuse},
		"founder":                          {findings{initialize: absent, own: peer.Nothing, founder: true, all: nothing}, begin},
		"founder, interrupted":             {findings{initialize: empty, own: peer.Begun, founder: true, all: nothing}, startOver},
		"not the founder":                  {findings{initialize: absent, own: peer.Nothing, all: nothing}, wait},
		"interrupted, and not the founder": {findings{initialize: empty, own: peer.Begun, all: nothing}, wait},
		"one is silent":                    {findings{initialize: absent, own: peer.Nothing, founder: true, all: all(nothing[0], dead)}, wait},
		"one is silent, and it has data":   {findings{initialize: absent, own: peer.Data, founder: true, self: "n1", all: all(is("n1", peer.Data, late), dead)}, wait},
		"the DCS is lost, and it has nothing": {
			findings{initialize: absent, own: peer.Nothing, founder: true, self: "n1", all: all(nothing[0], is("n2", peer.Data, early))}, wait,
		},
		"the DCS is lost, and it has data alone": {
			findings{initialize: absent, own: peer.Data, aged: true, self: "n2", all: all(nothing[0], is("n2", peer.Data, early))}, carryOn,
		},
		"the DCS is lost, and it is behind": {
			findings{initialize: absent, own: peer.Data, founder: true, self: "n1", all: all(is("n1", peer.Data, early), is("n2", peer.Data, late))}, wait,
		},
		"the DCS is lost, and it is ahead": {
			findings{initialize: absent, own: peer.Data, aged: true, self: "n2", all: all(is("n1", peer.Data, early), is("n2", peer.Data, late))}, carryOn,
		},
		"somebody's data": {
			findings{initialize: absent, own: peer.Data, self: "n2", all: all(nothing[0], is("n2", peer.Data, early))}, adopt,
		},
		"a replica's data": {
			findings{initialize: absent, own: peer.Data, replica: true, self: "n2", all: all(nothing[0], is("n2", peer.Data, early))}, carryOn,
		},
		"existing": {
			findings{initialize: absent, own: peer.Data, existing: true, founder: true, self: "n2", all: all(nothing[0], is("n2", peer.Data, early))}, adopt,
		},
		"existing, but not here":      {findings{initialize: absent, own: peer.Nothing, existing: true, all: nothing}, wait},
		"existing, but there is none": {findings{initialize: absent, own: peer.Nothing, existing: true, founder: true, all: nothing}, refuse},
		"existing, a replica's": {
			findings{initialize: absent, own: peer.Data, replica: true, existing: true, founder: true, self: "n2", all: all(nothing[0], is("n2", peer.Data, early))}, refuse,
		},
		"existing, a replica's, of a standby": {
			findings{initialize: absent, own: peer.Data, replica: true, standby: true, existing: true, founder: true, self: "n2", all: all(nothing[0], is("n2", peer.Data, early))}, carryOn,
		},
		"all is lost":        {findings{initialize: absent, own: peer.Nothing, founder: true, all: all(nothing[0], is("n2", peer.Lost, early))}, wait},
		"ordered, empty":     {findings{initialize: absent, own: peer.Lost, bootstrap: true}, begin},
		"ordered, with data": {findings{initialize: empty, own: peer.Data, bootstrap: true, aged: true}, carryOn},
		"ordered, one is silent": {
			findings{initialize: absent, own: peer.Lost, bootstrap: true, self: "n1", all: all(is("n1", peer.Lost, early), dead)}, begin,
		},
		"ordered, empty, and one has data by now": {
			findings{initialize: absent, own: peer.Lost, bootstrap: true, self: "n1", all: all(is("n1", peer.Lost, early), is("n2", peer.Data, early))}, wait,
		},
		"ordered, and one is as far": {
			findings{initialize: absent, own: peer.Data, aged: true, progress: late, bootstrap: true, self: "n2", all: all(is("n1", peer.Data, late), is("n2", peer.Data, late))}, carryOn,
		},
		"ordered, and one is further": {
			findings{initialize: absent, own: peer.Data, aged: true, progress: early, bootstrap: true, self: "n2", all: all(is("n1", peer.Data, late), is("n2", peer.Data, early))}, wait,
		},
		"ordered, with somebody's data": {findings{initialize: empty, own: peer.Data, bootstrap: true}, adopt},
	} {
		if got, waiting := decidePostgreSQL(test.findings); got != test.want || (waiting != "") != (got == wait) {
			t.Errorf("%s: %s (%s), want %s", name, got, waiting, test.want)
		}
	}
}

// What is refused says the key of the seed and a way out.
func TestRefuseExisting(t *testing.T) {
	for what, f := range map[string]findings{"no data": {}, "interrupted": {own: peer.Begun}, "replica": {own: peer.Data, replica: true}} {
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

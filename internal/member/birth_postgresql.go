package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"banyan/internal/converge"
	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/node"
)

// birthMarker says that a data directory that was not there before was being
// made, so that what is there now is of our own making.
const birthMarker = facts.StateDir + "/birth"

// birthDropIn keeps systemd from restarting Patroni if it dies during a birth: a
// second Patroni would adopt the data directory without its roles. KillMode also
// ends initdb and PostgreSQL, since the directory will be moved. It lies in /run,
// so that a power cut ends it too.
const (
	birthDropIn        = "/run/systemd/system/" + patroniUnit + ".d/zz-birth.conf"
	birthDropInContent = "[Service]\nRestart=no\nKillMode=control-group\n"
)

// findings is what a node that was never born meets.
type findings struct {
	initialize initializeKey
	data       bool // PostgreSQL's data directory holds something
	begun      bool // birthMarker is there
}

// decidePostgreSQL says how to go on towards the birth of a cluster.
//
// A birth under Patroni (bootstrap and post_bootstrap in patroni/ha.py) creates
// /initialize with an empty value, runs initdb, starts PostgreSQL, makes the
// roles, and only then writes the system identifier into /initialize. A power
// cut in between leaves what Patroni cannot mend: before an empty /initialize it
// waits for somebody else's bootstrap, of half a data directory it only says so,
// and a whole one without its roles it takes for a good one. So whoever begins
// also forgets an empty /initialize.
//
//	/initialize        data  birth marker  course
//	system identifier  any   either        carry on    the cluster is born
//	absent, or empty   none  either        begin       nothing is there yet
//	absent, or empty   some  yes           start over  a birth of ours was interrupted
//	absent, or empty   some  no            carry on    it was there before us, and Patroni adopts it
func decidePostgreSQL(f findings) course {
	switch {
	case f.initialize.born():
		return carryOn
	case !f.data:
		return begin
	case f.begun:
		return startOver
	default:
		return carryOn
	}
}

// preparePostgreSQL makes a node that was never born fit for Patroni's first start.
func (j *joining) preparePostgreSQL(ctx context.Context, say func(string)) error {
	if j.facts.Born {
		return nil
	}
	state, err := j.units.state(ctx, patroniUnit)
	if err != nil {
		return err
	}
	if state.running() {
		say("Patroni is at it already")
		return nil
	}
	version, err := node.PostgreSQLVersion(j.self, j.facts)
	if err != nil {
		return err
	}
	dataDir := node.DataDir(j.self, version)
	var f findings
	if f.initialize, err = j.dcs.readInitialize(ctx); err != nil {
		return err
	}
	if f.data, err = holdsData(dataDir); err != nil {
		return err
	}
	if f.begun, err = durable.Exists(birthMarker); err != nil {
		return err
	}

	course := decidePostgreSQL(f)
	holds := "is empty"
	if f.data {
		holds = "holds data"
	}
	say(fmt.Sprintf("%s: %s, and %s %s", course, f.initialize, dataDir, holds))
	if course == carryOn {
		return nil
	}
	if err := refuseIfServed(dataDir); err != nil {
		return err
	}
	if f.begun {
		// The log comes first: without data it would be nobody's, and initdb refuses it.
		for _, dir := range []string{node.WALDir(j.self, version), dataDir} {
			if err := moveRemains(dir, say); err != nil {
				return err
			}
		}
	}
	if err := makeHere(ctx, marker(birthMarker, "the data directory "+dataDir+" is being made\n")...); err != nil {
		return err
	}
	if err := j.dcs.forget(ctx, f.initialize); err != nil {
		return err
	}
	return makeHere(ctx,
		converge.Directory{Path: filepath.Dir(birthDropIn), Mode: 0o755},
		converge.File{Path: birthDropIn, Mode: 0o644, Content: birthDropInContent},
		converge.Unit{Name: patroniUnit}, // for its daemon-reload
	)
}

// moveRemains moves a directory of an interrupted birth aside, where there is one with
// anything in it.
func moveRemains(dir string, say func(string)) error {
	if dir == "" {
		return nil
	}
	data, err := holdsData(dir)
	if err != nil || !data {
		return err
	}
	aside, err := moveAside(dir, time.Now())
	if err != nil {
		return err
	}
	say("moved " + dir + " of the interrupted birth to " + aside)
	return nil
}

// refuseIfServed is an error if a PostgreSQL server works in dir, such as one
// that somebody started by hand. A server makes its data directory its working
// directory.
func refuseIfServed(dir string) error {
	content, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return nil //nolint:nilerr // half a pid file was never that of a running server
	}
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if cwd == dir {
		return fmt.Errorf("a PostgreSQL server (process %d) runs in %s, where a birth was interrupted: stop it, or reboot", pid, dir)
	}
	return nil
}

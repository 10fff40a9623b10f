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
	"banyan/internal/node"
)

// birthMarker says that a data directory that was not there before was being
// made, so that what is there now is of our own making.
const birthMarker = node.StateDir + "/birth"

// birthWatch is in force during a birth of ours, in which Patroni shall not be
// restarted when it dies: the new one would take the data directory as it is,
// without its roles, and complete the birth of a cluster that nobody can
// replicate. Nor shall initdb or PostgreSQL live on without it, as
// KillMode=process of Debian's unit lets them: this directory will be moved. It
// lies in /run, so that a power cut ends it too.
const (
	birthWatch         = "/run/systemd/system/" + patroniUnit + ".d/zz-birth.conf"
	birthWatchSettings = "[Service]\nRestart=no\nKillMode=control-group\n"
)

// findings is what a node that was never born meets.
type findings struct {
	initialize initialize // Patroni's key in the DCS
	data       bool       // PostgreSQL's data directory holds something
	begun      bool       // birthMarker is there
}

// course is what to do before Patroni is started.
type course string

const (
	carryOn   course = "carry on"   // start Patroni on what is there
	begin     course = "begin"      // mark the birth as begun, forget an empty /initialize
	startOver course = "start over" // move the data directory aside, then begin
)

// decide says how to go on towards the birth of a cluster.
//
// A birth under Patroni (bootstrap and post_bootstrap in patroni/ha.py) creates
// /initialize with an empty value, runs initdb, starts PostgreSQL, makes the
// roles, and only then writes the system identifier into /initialize. A power
// cut in between leaves what Patroni cannot mend: before an empty /initialize
// it waits for somebody else's bootstrap, of half a data directory it only says
// so, and a whole one without its roles it takes for a good one.
//
//	/initialize       | data directory | birth marker | course
//	system identifier | either         | either       | carry on: the cluster is born
//	absent, or empty  | empty          | either       | begin: nothing is there yet
//	absent, or empty  | holds data     | yes          | start over: a birth of ours was interrupted
//	absent, or empty  | holds data     | no           | carry on: it was there before us, and Patroni adopts it
//
// Without the marker nothing is ever moved: a data directory that we did not
// begin is somebody's data.
func decide(f findings) course {
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

// prepareBirth makes a node that was never born fit for Patroni's first start.
func (j *joining) prepareBirth(ctx context.Context, say func(string)) error {
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
	version, err := node.PostgreSQLVersion(j.seed, j.facts)
	if err != nil {
		return err
	}
	dataDir := node.DataDir(version)
	var f findings
	if f.initialize, err = j.dcs.initialize(ctx); err != nil {
		return err
	}
	if f.data, err = holdsData(dataDir); err != nil {
		return err
	}
	if f.begun, err = exists(birthMarker); err != nil {
		return err
	}

	course := decide(f)
	holds := "is empty"
	if f.data {
		holds = "holds data"
	}
	say(fmt.Sprintf("%s: %s, and %s %s", course, f.initialize, dataDir, holds))
	if course == startOver {
		if err := refuseIfServed(dataDir); err != nil {
			return err
		}
		aside, err := moveAside(dataDir, time.Now())
		if err != nil {
			return err
		}
		say("moved the data directory of the interrupted birth to " + aside)
	}
	if course == carryOn {
		return nil
	}
	if err := makeHere(ctx, marker(birthMarker, "the data directory "+dataDir+" is being made\n")...); err != nil {
		return err
	}
	if err := j.dcs.forget(ctx, f.initialize); err != nil {
		return err
	}
	return makeHere(ctx,
		converge.Directory{Path: filepath.Dir(birthWatch), Mode: 0o755},
		converge.File{Path: birthWatch, Mode: 0o644, Content: birthWatchSettings},
		converge.Unit{Name: patroniUnit}, // for its daemon-reload
	)
}

// holdsData tells whether a data directory holds something, as Patroni does:
// see data_directory_is_empty in patroni/utils.py.
func holdsData(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "lost+found" {
			return true, nil
		}
	}
	return false, nil
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

// moveAside renames a directory that nobody needs and nobody may lose, and says
// to what.
func moveAside(dir string, now time.Time) (string, error) {
	aside := dir + ".interrupted-" + now.UTC().Format("20060102T150405Z")
	if err := os.Rename(dir, aside); err != nil {
		return "", err
	}
	return aside, syncDirectory(filepath.Dir(dir))
}

func syncDirectory(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

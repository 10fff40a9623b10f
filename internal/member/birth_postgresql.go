package member

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"banyan/internal/converge"
	"banyan/internal/database"
	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/seeds"
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
	replica    bool // the data follows a primary, or is to be recovered from an archive
	existing   bool // the seed says that there is data already: postgresql.existing
	first      bool // this is the first PostgreSQL node of the seed, which has that data
	standby    bool // the cluster of the seed follows another one
}

// decidePostgreSQL says how to go on towards the birth of a cluster.
//
// A birth under Patroni (bootstrap and post_bootstrap in patroni/ha.py) creates
// /initialize with an empty value, runs initdb, starts PostgreSQL, makes the
// roles, and only then writes the system identifier into /initialize. A power
// cut in between leaves what Patroni cannot mend: before an empty /initialize it
// waits for somebody else's bootstrap, of half a data directory it only says so,
// and a whole one without its roles it takes for a good one. So whoever begins
// also forgets an empty /initialize, and data of somebody's gets these roles.
//
//	/initialize        data      birth marker  course
//	system identifier  any       either        carry on    the cluster is born
//	absent, or empty   none      either        begin       nothing is there yet
//	absent, or empty   some      yes           start over  a birth of ours was interrupted
//	absent, or empty   some      no            adopt       it was there before us
//	absent, or empty   replica's no            carry on    its roles are those of its primary
//
// Where the seed says that there is data already, nothing is begun without it:
//
//	absent, or empty   any node but the first                   wait    for the first
//	absent, or empty   the first, without such data             refuse
//	absent, or empty   the first, with a replica's              refuse  unless the cluster is a standby
func decidePostgreSQL(f findings) course {
	switch {
	case f.initialize.born():
		return carryOn
	case f.existing && !f.first:
		return wait
	case f.existing && (!f.data || f.begun || f.replica && !f.standby):
		return refuse
	case !f.data:
		return begin
	case f.begun:
		return startOver
	case f.replica || f.standby: // of a standby cluster not even a primary's data may change
		return carryOn
	default:
		return adopt
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
	first := j.seed.Members(seeds.ServicePostgreSQL)[0].Name
	f := findings{existing: j.self.PostgreSQL.Existing, first: j.self.Name == first, standby: j.self.Patroni.StandbyCluster.Follows()}
	if f.initialize, err = j.dcs.readInitialize(ctx); err != nil {
		return err
	}
	if f.data, err = holdsData(dataDir); err != nil {
		return err
	}
	if f.begun, err = durable.Exists(birthMarker); err != nil {
		return err
	}
	if f.replica, err = database.IsReplica(dataDir); err != nil {
		return err
	}

	course := decidePostgreSQL(f)
	holds := "is empty"
	if f.data {
		holds = "holds data"
	}
	say(fmt.Sprintf("%s: %s, and %s %s", course, f.initialize, dataDir, holds))
	switch course {
	case wait:
		err := poll(ctx, say, func() (bool, string, error) {
			key, err := j.dcs.readInitialize(ctx)
			return key.born(), "waiting for " + first + ", whose data the cluster begins with by postgresql.existing", err
		})
		if err != nil {
			return err
		}
	case refuse:
		return refuseExisting(f, dataDir)
	case adopt, carryOn:
	default:
		return j.begin(ctx, f, version, dataDir, say)
	}
	if f.data {
		return j.takeOver(ctx, course == adopt, version, dataDir, say)
	}
	return nil
}

// begin prepares the birth of a cluster on an empty data directory.
func (j *joining) begin(ctx context.Context, f findings, version int, dataDir string, say func(string)) error {
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
// that somebody started by hand.
func refuseIfServed(dir string) error {
	server, serves, err := database.Serving(dir)
	if serves {
		return fmt.Errorf("a PostgreSQL server (process %d) runs in %s, before Patroni does: stop it, or reboot", server.PID, dir)
	}
	return err
}

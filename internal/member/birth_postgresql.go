package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"banyan/internal/converge"
	"banyan/internal/database"
	"banyan/internal/dcs"
	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/peer"
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

// findings is what a node with PostgreSQL meets.
type findings struct {
	initialize dcs.Initialize
	own        peer.Holding
	copying    bool          // the own data is a copy of the leader's that was interrupted
	systemID   string        // of the own data, where there is any
	progress   peer.Progress // likewise
	replica    bool          // the own data follows a primary, or is to be recovered from an archive
	aged       bool          // the node was born: its data has the roles of Patroni
	existing   bool          // the seed says that the first node holds data: postgresql.existing
	standby    bool          // the cluster of the seed follows another one

	// Where the DCS knows of no PostgreSQL:
	founder   bool          // of those that the seed lists this node is the one to begin
	bootstrap bool          // somebody said that it shall begin, whoever is silent
	self      string        // the node's name
	all       []peer.Result // what each node with PostgreSQL holds, this one among them, as the seed has them
}

// decidePostgreSQL says how to go on towards a PostgreSQL that leads or follows.
//
// A birth under Patroni (bootstrap and post_bootstrap in patroni/ha.py) creates
// /initialize with an empty value, runs initdb, starts PostgreSQL, makes the
// roles, and only then writes the system identifier into /initialize. A power
// cut in between leaves what Patroni cannot mend: before an empty /initialize it
// waits for somebody else's bootstrap, of half a data directory it only says so,
// and a whole one without its roles it takes for a good one. So one node alone, the
// founder, ever begins; it may forget an empty /initialize, since nobody else can be at it.
//
// Where data stands and the DCS knows of none, as after the loss of etcd, whoever comes
// first would be the leader. So all wait until each was asked, and for the one whose data
// has come furthest.
//
//	/initialize        own data                  course
//	system identifier  none, or of that cluster  carry on: the cluster is born
//	system identifier  a birth's, of another     start over, as a replica
//	system identifier  an interrupted copy       start over
//	system identifier  of another, or of none    refuse
//	absent, or empty   -                         wait until all nodes were asked
//	absent, or empty   any, others have come further  wait for them
//	absent, or empty   furthest of all           adopt: it gets Patroni's roles; carry on where it has
//	                                             them, or follows another
//	absent, or empty   none anywhere, lost somewhere  wait for a human
//	absent, or empty   none anywhere, never any  the founder begins, or starts over; others wait
//
// Who was ordered to begin minds nobody who is silent, nor what is lost, but waits for who
// answers and has come further.
//
// Where the seed says that the first node holds data (postgresql.existing), nothing is begun
// without it.
func decidePostgreSQL(f findings) (course, string) {
	if f.initialize.Born() {
		switch {
		case f.copying, f.own == peer.Begun && f.systemID != f.initialize.Value:
			return startOver, ""
		case f.own != peer.Data || f.systemID == f.initialize.Value:
			return carryOn, ""
		default:
			return refuse, ""
		}
	}
	if silent := peer.Silent(f.all); len(silent) > 0 && !f.bootstrap {
		return wait, "waits until all nodes with PostgreSQL can be asked what they hold; silent: " + strings.Join(silent, "; ")
	}
	switch {
	case !f.existing || f.aged || f.bootstrap:
	case !f.founder:
		return wait, "waits for the first node, with whose data the cluster begins by postgresql.existing"
	case f.own != peer.Data || f.replica && !f.standby:
		return refuse, ""
	}
	if best, ok := peer.Best(f.all); ok {
		if best.Node.Name == f.self || f.bootstrap && f.own == peer.Data && !best.Answer.Progress.Ahead(f.progress) {
			return f.alone(), ""
		}
		return wait, fmt.Sprintf("waits for %s, which holds the data that has come furthest, to lead", best.Node.Name)
	}
	if f.bootstrap {
		return f.alone(), ""
	}
	for _, r := range f.all {
		if r.Answer.PostgreSQL == peer.Lost {
			return wait, fmt.Sprintf("waits: the data of %s is gone, and nobody else has any; restore it, or see bootstrap in firstboot(8)", r.Node.Name)
		}
	}
	if !f.founder {
		return wait, "waits for the first node to begin the cluster"
	}
	return f.alone(), ""
}

// alone is the course of who has nobody to mind. Of a standby cluster not even a primary's
// data may change.
func (f findings) alone() course {
	switch {
	case f.own == peer.Begun:
		return startOver
	case f.own != peer.Data:
		return begin
	case f.aged || f.replica || f.standby:
		return carryOn
	default:
		return adopt
	}
}

// preparePostgreSQL makes a node fit for Patroni's start: it waits until that may be.
func (j *joining) preparePostgreSQL(ctx context.Context, say func(string)) error {
	state, err := j.units.state(ctx, patroniUnit)
	if err != nil {
		return err
	}
	if state.running() {
		say("Patroni is at it already")
		return nil
	}
	dir, err := postgresqlDir(j.self, j.facts)
	if err != nil {
		return err
	}
	return poll(ctx, say, func() (bool, string, error) {
		f, err := j.findPostgreSQL(ctx, dir)
		if err != nil {
			return false, "", err
		}
		c, waiting := decidePostgreSQL(f)
		switch c {
		case wait:
			return false, waiting, nil
		case refuse:
			if !f.initialize.Born() {
				return false, "", refuseExisting(f, dir.data)
			}
			return false, "", fmt.Errorf("%s is of another cluster, or no whole data directory: its system identifier is %q, and %s; move it away, and this node becomes a replica", dir.data, f.systemID, f.initialize)
		}
		say(fmt.Sprintf("%s: %s, and %s holds %s", c, f.initialize, dir.data, f.own))
		return true, "", j.readyPostgreSQL(ctx, dir, f, c, say)
	})
}

// findPostgreSQL looks at the node and at the DCS, and asks the others.
func (j *joining) findPostgreSQL(ctx context.Context, dir dataDir) (findings, error) {
	nodes := j.seed.Members(seeds.ServicePostgreSQL)
	f := findings{
		self: j.self.Name, founder: founder(nodes).Name == j.self.Name, aged: j.facts.Born,
		existing: j.self.PostgreSQL.Existing, standby: j.self.Patroni.StandbyCluster.Follows(),
	}
	var err error
	if f.initialize, err = j.dcs.Initialize(ctx); err != nil {
		return f, err
	}
	var c control
	if f.own, c, err = dir.holding(ctx, j.seed, j.self, j.facts); err != nil {
		return f, err
	}
	f.progress = c.Progress
	if f.copying, err = dir.copying(); err != nil {
		return f, err
	}
	if f.own == peer.Data || f.own == peer.Begun {
		f.systemID = c.systemID
		if f.replica, err = database.IsReplica(dir.data); err != nil {
			return f, err
		}
	}
	if f.initialize.Born() {
		return f, nil
	}
	if f.bootstrap, err = durable.Exists(orderPostgreSQL); err != nil {
		return f, err
	}
	rest := others(nodes, j.self)
	at := slices.IndexFunc(nodes, func(n seeds.Node) bool { return n.Name == j.self.Name })
	ask := j.ask
	if f.bootstrap { // no matter whose seed is the later one
		ask = j.peers.Ask
	}
	f.all = slices.Insert(ask(ctx, rest), at, peer.Result{Node: j.self, Answer: peer.Answer{PostgreSQL: f.own, Progress: f.progress}})
	if err := j.advance(ctx, f.all); err != nil {
		return f, err
	}
	f.progress = f.all[at].Answer.Progress
	return f, nil
}

// founder is the first of those that may lead: Patroni begins no cluster where it may not.
func founder(nodes []seeds.Node) seeds.Node {
	return nodes[max(0, slices.IndexFunc(nodes, func(n seeds.Node) bool { return !n.Patroni.Tags.NoFailover }))]
}

// readyPostgreSQL does what a course begins with.
func (j *joining) readyPostgreSQL(ctx context.Context, dir dataDir, f findings, c course, say func(string)) error {
	founds := !f.initialize.Born()
	if c == carryOn && f.own != peer.Data && f.own != peer.Begun && !founds {
		return markCopy(ctx, dir)
	}
	if c == carryOn || c == adopt {
		if founds {
			if err := j.dcs.Forget(ctx, f.initialize); err != nil {
				return err
			}
		}
		if f.own != peer.Data || f.aged {
			return nil
		}
		return j.prepareExisting(ctx, dir, c == adopt, say)
	}
	if err := refuseIfServed(dir.data); err != nil {
		return err
	}
	if f.copying {
		if err := removeCopy(dir, say); err != nil {
			return err
		}
	} else if f.own == peer.Begun {
		// The log comes first: without data it would be nobody's, and initdb refuses it.
		for _, d := range []string{dir.wal, dir.data} {
			if err := moveRemains(d, say); err != nil {
				return err
			}
		}
	}
	if !founds {
		return errors.Join(markCopy(ctx, dir), durable.Remove(birthMarker))
	}
	if err := makeHere(ctx, marker(birthMarker, "the data directory "+dir.data+" is being made\n")...); err != nil {
		return err
	}
	if err := errors.Join(durable.Remove(facts.CopyMarker), j.dcs.Forget(ctx, f.initialize)); err != nil {
		return err
	}
	return makeHere(ctx,
		converge.Directory{Path: filepath.Dir(birthDropIn), Mode: 0o755},
		converge.File{Path: birthDropIn, Mode: 0o644, Content: birthDropInContent},
		converge.Unit{Name: patroniUnit}, // for its daemon-reload
	)
}

func markCopy(ctx context.Context, dir dataDir) error {
	return makeHere(ctx, marker(facts.CopyMarker, "the data directory "+dir.data+" is being copied\n")...)
}

// removeCopy empties the directories of an interrupted copy: all of it is the leader's, and
// beside it there may be no room for another.
func removeCopy(dir dataDir, say func(string)) error {
	say("removing from " + dir.data + " the copy that was interrupted")
	for _, d := range []string{dir.wal, dir.data} {
		if d == "" {
			continue
		}
		entries, err := os.ReadDir(d)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(d, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
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

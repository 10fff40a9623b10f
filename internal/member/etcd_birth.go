package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"banyan/internal/facts"
	"banyan/internal/node"
)

// etcdBirthMarker says that etcd was started for the first time and was never
// seen healthy, so that what it has written is of no use to anybody.
const etcdBirthMarker = node.StateDir + "/etcd-birth"

// etcdCourse is what to do before etcd is started.
type etcdCourse string

const (
	etcdCarryOn   etcdCourse = "carry on"   // start etcd on what is there
	etcdBegin     etcdCourse = "begin"      // mark its birth as begun
	etcdStartOver etcdCourse = "start over" // move its data aside, then begin
	etcdRefuse    etcdCourse = "refuse"     // a human has to say what is to become of lost data
)

// decideEtcd says how to go on towards a healthy etcd.
//
// A power cut in etcd's first second leaves what it does not survive, as tried
// with 3.5.16: a database without a log whose blocks were never written makes
// it panic at every start, and with a log that holds only its header it waits
// for a leader for ever. Nothing is in it yet, since Patroni starts later.
//
//	born  data     birth marker  course
//	yes   a log    either        carry on
//	yes   no log   either        refuse      the member lost its data
//	no    none     either        begin       nothing is there yet
//	no    some     yes           start over  a birth of ours was interrupted
//	no    some     no            carry on    it was healthy once, or was there before us
func decideEtcd(born, log, data, begun bool) etcdCourse {
	switch {
	case born && log:
		return etcdCarryOn
	case born:
		return etcdRefuse
	case !data:
		return etcdBegin
	case begun:
		return etcdStartOver
	default:
		return etcdCarryOn
	}
}

// prepareEtcd makes a member that does not run fit for its start.
func (j *joining) prepareEtcd(ctx context.Context, say func(string)) error {
	member := filepath.Join(node.EtcdDataDir, "member")
	log, err := holdsData(filepath.Join(member, "wal"))
	if err != nil {
		return err
	}
	data, err := exists(member)
	if err != nil {
		return err
	}
	begun, err := exists(etcdBirthMarker)
	if err != nil {
		return err
	}
	course := decideEtcd(j.facts.Born, log, data, begun)
	switch course {
	case etcdCarryOn:
		return nil
	case etcdRefuse:
		return fmt.Errorf("%s holds no data any more, and yet this node was born: put it back, "+
			"or remove %s to begin with an empty DCS, in which Patroni adopts PostgreSQL's data", member, facts.BornMarker)
	case etcdStartOver:
		aside, err := moveAside(member, time.Now())
		if err != nil {
			return err
		}
		say("moved etcd's data, whose birth was interrupted, to " + aside)
	}
	return makeHere(ctx, marker(etcdBirthMarker, "etcd's data directory "+member+" is being made\n")...)
}

// etcdIsMade ends the birth of a healthy etcd, before anything is written to it.
func etcdIsMade() error {
	err := os.Remove(etcdBirthMarker)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDirectory(node.StateDir)
}

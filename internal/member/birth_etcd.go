package member

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/node"
)

// etcdBirthMarker says that etcd was started for the first time and was never
// seen healthy, so that what it has written is of no use to anybody.
const etcdBirthMarker = facts.StateDir + "/etcd-birth"

// decideEtcd says how to go on towards a healthy etcd.
//
// A power cut in etcd's first second leaves what it does not survive, as tried
// with 3.5.16: without a WAL, a database whose blocks were never written makes it
// panic at every start, and with a WAL that holds only its header it waits for a
// leader for ever. Nothing is in it yet, since Patroni starts later.
//
//	born  data     birth marker  course
//	yes   a WAL    either        carry on    the member is born
//	yes   no WAL   either        refuse      the member lost its data
//	no    none     either        begin       nothing is there yet
//	no    some     yes           start over  a birth of ours was interrupted
//	no    some     no            carry on    it was healthy once, or was there before us
func decideEtcd(born, wal, data, begun bool) course {
	switch {
	case born && wal:
		return carryOn
	case born:
		return refuse
	case !data:
		return begin
	case begun:
		return startOver
	default:
		return carryOn
	}
}

// prepareEtcd makes a member that does not run fit for its start.
func (j *joining) prepareEtcd(ctx context.Context, say func(string)) error {
	member := filepath.Join(node.EtcdDataDir, "member")
	wal, err := holdsData(filepath.Join(member, "wal"))
	if err != nil {
		return err
	}
	data, err := durable.Exists(member)
	if err != nil {
		return err
	}
	begun, err := durable.Exists(etcdBirthMarker)
	if err != nil {
		return err
	}
	course := decideEtcd(j.facts.Born, wal, data, begun)
	switch course {
	case carryOn:
		return nil
	case refuse:
		return fmt.Errorf("%s holds no data any more, and yet this node was born: put it back, "+
			"or remove %s to begin with an empty DCS, in which Patroni adopts PostgreSQL's data", member, facts.BornMarker)
	case startOver:
		aside, err := moveAside(member, time.Now())
		if err != nil {
			return err
		}
		say("moved etcd's data, whose birth was interrupted, to " + aside)
	}
	return makeHere(ctx, marker(etcdBirthMarker, "etcd's data directory "+member+" is being made\n")...)
}

// endEtcdBirth is for a healthy etcd, before anything is written to it.
func endEtcdBirth() error { return durable.Remove(etcdBirthMarker) }

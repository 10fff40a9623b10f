package member

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"banyan/internal/dcs"
	"banyan/internal/durable"
	"banyan/internal/node"
	"banyan/internal/peer"
	"banyan/seeds"
)

// etcdFindings is what a member of etcd meets that does not run yet.
type etcdFindings struct {
	own     peer.Holding
	log     bool // of a first start there is etcd's log: it may have acknowledged something
	entered bool // others had listed it for that start

	// What the other members' etcd says, where it has a quorum.
	cluster bool
	listed  *dcs.Member // this node as it is listed
	active  bool        // others hear of it

	founder   bool          // of those that the seed lists it is the one to begin
	bootstrap bool          // somebody said that it shall begin, whatever the others hold
	others    []peer.Result // where there is no cluster: what the others hold
}

// etcdCourse is how to go on, and for what or whom it waits.
type etcdCourse struct {
	course
	waiting string
}

// Further courses of etcd.
const (
	join    course = "join"          // be added, and begin with what the others have
	replace course = "replace"       // the same, after the member that lost its data was removed
	isolate course = "go on alone"   // on its data, without all other members
	silence course = "await silence" // replace, once nobody has heard of the member for a while
	resume  course = "resume"        // begin with what the others have, as they have listed it
)

// decideEtcd says how a member goes on towards an etcd with a quorum. One member, the
// founder, begins a cluster of itself alone; all others are added to one that is there.
// So no two can ever begin one, and whoever is there decides who is in. In the column of own
// data, none is all but data.
//
//	own data   cluster                        course
//	data       -                              carry on; if it is listed no more, join anew
//	data       none, and it was so ordered    go on alone
//	begun      none, all others hold nothing  the founder starts over, others wait
//	begun      none, somebody holds some      carry on, or resume: others have joined what was
//	                                          begun, or count on this one that they have added;
//	                                          else wait for a quorum of them
//	none       none, and it was so ordered    begin, or start over what was begun
//	none       none, somebody is silent       wait until all were asked
//	nothing    none, all others hold nothing  the founder begins, others wait
//	nothing    none, somebody holds some      wait for a quorum of them
//	lost       none                           wait: only they, or a human, can tell
//	lost       none, it is the only member    refuse
//	none       there, not listed              join
//	begun      there, listed, never started   carry on, where its first start got as far as a log
//	none       there, listed, never started   join anew
//	none       there, listed and heard of     refuse: a copy of this disk is at work
//	begun      there, listed                  replace
//	none       there, listed                  replace, once it has been silent for a while
func decideEtcd(f etcdFindings) etcdCourse {
	to := func(c course) etcdCourse { return etcdCourse{course: c} }
	waits := func(format string, args ...any) etcdCourse { return etcdCourse{wait, fmt.Sprintf(format, args...)} }
	switch {
	case f.cluster && f.listed == nil: // also with data: the others have removed what it was
		return to(join)
	case f.own == peer.Data && f.bootstrap && !f.cluster:
		return to(isolate)
	case f.own == peer.Data:
		return to(carryOn)
	case f.cluster && !f.listed.Started() && f.own == peer.Begun && f.log:
		return to(carryOn)
	case f.cluster && !f.listed.Started():
		return to(join)
	case f.cluster && f.active:
		return to(refuse)
	case f.cluster && f.own == peer.Begun:
		return to(replace)
	case f.cluster:
		return to(silence)
	case f.bootstrap && f.own == peer.Begun:
		return to(startOver)
	case f.bootstrap:
		return to(begin)
	}
	if silent := peer.Silent(f.others); len(silent) > 0 {
		return waits("waits until all members of etcd can be asked what they hold; silent: %s", strings.Join(silent, "; "))
	}
	var holders []string
	for _, o := range f.others {
		if o.Answer.Etcd != peer.Nothing {
			holders = append(holders, o.Node.Name+" holds "+string(o.Answer.Etcd))
		}
	}
	switch {
	case len(holders) > 0 && f.own == peer.Begun && f.log:
		return to(carryOn)
	case len(holders) > 0 && f.own == peer.Begun && f.entered:
		return to(resume)
	case len(holders) > 0:
		return waits("waits for a quorum of the etcd that there is: %s", strings.Join(holders, ", "))
	case f.own == peer.Lost && len(f.others) == 0:
		return to(refuse)
	case f.own == peer.Lost:
		return waits("waits: etcd's data is gone from all members; put it back, or see restore-etcd and bootstrap in firstboot(8)")
	case !f.founder:
		return waits("waits for the first member of etcd to begin the cluster")
	case f.own == peer.Begun:
		return to(startOver)
	default:
		return to(begin)
	}
}

// startEtcd makes this node's etcd a member with a vote.
func (j *joining) startEtcd(ctx context.Context, say func(string)) error {
	own, err := dcs.Connect(j.seed, j.self, node.EtcdClientURL(j.self))
	if err != nil {
		return err
	}
	defer own.Close()
	ordered, err := durable.Exists(orderDCS)
	if err != nil {
		return err
	}
	if ordered && own.Healthy(ctx) != nil { // with a quorum the order is obeyed already
		if err := j.units.stop(ctx, etcdUnit); err != nil {
			return err
		}
	}
	return poll(ctx, say, func() (bool, string, error) {
		err := own.Healthy(ctx)
		if err == nil {
			return true, "", errors.Join(durable.Remove(orderDCS), endEtcdBirth(ctx))
		}
		if dcs.IsLearner(err) {
			return false, j.promote(ctx), nil
		}
		state, stateErr := j.units.state(ctx, etcdUnit)
		if stateErr != nil {
			return false, "", stateErr
		}
		if state.running() {
			return false, state.explain(err), nil
		}
		// It was not started yet, or has ended, as one does that the others have removed.
		if err := j.prepareEtcd(ctx, say); err != nil {
			return false, "", err
		}
		return false, "starting " + etcdUnit, j.units.start(ctx, etcdUnit)
	})
}

// promote asks the others to give this node's learner its vote, once it has caught up, and
// says what is missing.
func (j *joining) promote(ctx context.Context) (waiting string) {
	members, err := j.others.Members(ctx)
	if m, ok := dcs.FindMember(members, j.self.Name, node.EtcdPeerURL(j.self)); ok && m.Learner {
		err = j.others.Promote(ctx, m.ID)
	}
	if err != nil {
		return err.Error()
	}
	return "it catches up with the other members"
}

// prepareEtcd makes a member that does not run fit for its start: it waits until that may be.
func (j *joining) prepareEtcd(ctx context.Context, say func(string)) error {
	var last, tried course
	var since time.Time // of the last
	return poll(ctx, say, func() (bool, string, error) {
		f, err := j.findEtcd(ctx)
		if err != nil {
			return false, "", err
		}
		c := decideEtcd(f)
		if c.course != last {
			last, since = c.course, time.Now()
		}
		switch c.course {
		case wait:
			return false, c.waiting, nil
		case carryOn:
			return true, "", nil
		case refuse:
			if f.cluster && time.Since(since) < fadeTime {
				return false, fmt.Sprintf("its data is gone, and other members of etcd hear of %s: waits until they do not", f.listed), nil
			}
			return false, "", refuseEtcd(f)
		case silence:
			if time.Since(since) < silenceTime {
				return false, fmt.Sprintf("its data is gone, and etcd lists %s: it is replaced when nobody has heard of it for %v", f.listed, silenceTime), nil
			}
		}
		if c.course != tried {
			say(string(c.course))
			tried = c.course
		}
		if err := j.firstStart(ctx, f, c.course, say); err != nil {
			if f.cluster && (dcs.MayPass(err) || errors.Is(err, errChanged)) { // such as another member that joins at the moment
				return false, err.Error(), nil
			}
			return false, "", err
		}
		return true, "", nil
	})
}

// silenceTime is how long nobody has to have heard of a member before another takes its
// place: longer than any restart of a machine would leave it half alive.
const silenceTime = 2 * time.Minute

// fadeTime is how long the others may still seem to hear of a member that has ended: what it
// sent last is on its way.
const fadeTime = 15 * time.Second

// errChanged is how a change of etcd's members ends that another one has come before.
var errChanged = errors.New("the members of etcd have changed meanwhile")

func refuseEtcd(f etcdFindings) error {
	if f.cluster {
		return fmt.Errorf("other members of etcd hear of %s, and it does not run here: is this disk a copy of that of a machine that runs?", f.listed)
	}
	return fmt.Errorf("%s holds no data any more, and yet this node was born: put it back, or see restore-etcd and bootstrap in firstboot(8), "+
		"to begin with an empty DCS in which Patroni adopts PostgreSQL's data", etcdMember)
}

// findEtcd looks at the node, and asks the others.
func (j *joining) findEtcd(ctx context.Context) (etcdFindings, error) {
	members := node.EtcdMembers(j.seed)
	f := etcdFindings{founder: members[0].Name == j.self.Name}
	var err error
	if f.own, err = etcdHolding(j.seed, j.self, j.facts); err != nil {
		return f, err
	}
	if f.log, err = holdsData(etcdWAL); err != nil {
		return f, err
	}
	if f.entered, err = enteredEtcd(); err != nil {
		return f, err
	}
	if f.bootstrap, err = durable.Exists(orderDCS); err != nil {
		return f, err
	}
	rest := others(members, j.self)
	if len(rest) == 0 {
		return f, nil
	}
	if listed, err := j.others.Members(ctx); err == nil { // else there is none, or none with a quorum
		f.cluster = true
		if m, ok := dcs.FindMember(listed, j.self.Name, node.EtcdPeerURL(j.self)); ok {
			f.listed = &m
			if m.Started() && f.own != peer.Data {
				if f.active, err = j.others.Active(ctx, m, listed); err != nil {
					return f, err
				}
			}
		}
		return f, nil
	}
	if f.own != peer.Data {
		f.others = j.ask(ctx, rest)
	}
	return f, nil
}

// ask asks nodes what they hold. One whose seed is of another generation may know other
// members, and so counts as silent.
func (j *joining) ask(ctx context.Context, nodes []seeds.Node) []peer.Result {
	results := j.peers.Ask(ctx, nodes)
	for i, r := range results {
		if r.Err == nil && r.Answer.Generation != j.seed.Cluster.Generation {
			results[i].Err = fmt.Errorf("its seed is of generation %d, and this one of %d", r.Answer.Generation, j.seed.Cluster.Generation)
		}
	}
	return results
}

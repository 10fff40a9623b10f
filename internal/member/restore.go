package member

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"banyan/internal/dcs"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/internal/patroni"
	"banyan/internal/peer"
	"banyan/internal/pki"
	"banyan/seeds"
)

// Restoration is what a human says of one.
type Restoration struct {
	Snapshot string // "" is this node's newest
	Force    bool   // whatever the others hold or do not answer, but for a quorum
}

// TakeOver ends a run of firstboot, which may wait for etcd for as long as there is none,
// and keeps others from beginning. done lets it begin again.
type TakeOver func(context.Context) (done func() error, err error)

// Restore makes of a snapshot a new etcd, of the member of self, a node of s, alone. Its
// data is moved aside, never removed. The run of firstboot that comes after it starts
// it, and those of other nodes join it: at once where their data is gone, after
// [JoinRestored] where they have that of the old etcd.
//
// The power may fail at any instant: what is in place then is the old data, or none, which
// is for another call, or what is fit for use.
func Restore(ctx context.Context, s seeds.Seed, self seeds.Node, f facts.Facts, r Restoration, take TakeOver, say func(string)) error {
	if !s.IsEtcdMember(self) {
		return noMember(s, self)
	}
	j := joining{seed: s, facts: f, self: self}
	if err := j.dial(); err != nil {
		return err
	}
	defer j.hangUp()
	found, err := j.findRestore(ctx)
	if err != nil {
		return err
	}
	if err := decideRestore(found, r.Force); err != nil {
		return err
	}
	from, err := chooseSnapshot(r.Snapshot, found.own, found.snapshots)
	if err != nil {
		return err
	}
	about, err := readSnapshot(ctx, f, from)
	if err != nil {
		return err
	}
	say(fmt.Sprintf("restores %s, %s", from, about))
	candidate, err := j.candidate(ctx, nil, say)
	if err != nil {
		return err
	}

	err = takingOver(ctx, take, func() error { return j.restore(ctx, from, about, candidate.Node.Name, say) })
	if err != nil {
		return err
	}
	return awaitQuorum(ctx, s, self, say)
}

// takingOver does something with etcd's data while neither etcd nor firstboot runs.
func takingOver(ctx context.Context, take TakeOver, do func() error) (err error) {
	done, err := take(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	units, err := connect(ctx)
	if err != nil {
		return err
	}
	defer units.Close()
	if err := units.stop(ctx, etcdUnit); err != nil {
		return err
	}
	return do()
}

// restoreFindings is what a human meets who wants etcd restored.
type restoreFindings struct {
	own       peer.Answer
	others    []peer.Result // what the other nodes hold that hold anything of the cluster
	members   []membership  // what each member of etcd says, this one too
	snapshots []string      // of this node, the oldest first
}

// findRestore looks at the node, and asks the others.
func (j *joining) findRestore(ctx context.Context) (f restoreFindings, err error) {
	if f.own, err = Holdings(ctx, j.seed, j.self, j.facts); err != nil {
		return f, err
	}
	f.others = j.ask(ctx, otherHolders(j.seed, j.self))
	for _, n := range node.EtcdMembers(j.seed) {
		f.members = append(f.members, askMembership(ctx, j.seed, j.self, n))
	}
	f.snapshots, err = snapshotNames(snapshotDir)
	return f, err
}

// decideRestore refuses what only a human can know to be right. Beside an etcd that is at
// work a restored one would be a second, with a leader of its own; and what others hold is
// newer than a snapshot. Where etcd is seen at work nobody can know it to be right.
func decideRestore(f restoreFindings, force bool) error {
	if i := slices.IndexFunc(f.members, func(m membership) bool { return m.err == nil }); i >= 0 {
		return fmt.Errorf("etcd has a quorum, as %s says: there is nothing to restore, and a member whose data is lost takes by itself what the others have. "+
			"To go back to what a snapshot has all the same, stop etcd on the other members, and say --force", f.members[i].of)
	}
	if force {
		return nil
	}
	var errs []error
	if silent := peer.Silent(f.others); len(silent) > 0 {
		errs = append(errs, fmt.Errorf("what these nodes hold is not known, and etcd may be at work there: %s. "+
			"Start them; or, if they are off for good, say --force", strings.Join(silent, "; ")))
	}
	var holders []string
	for _, r := range f.others {
		if r.Err == nil && r.Answer.Etcd == peer.Data {
			holders = append(holders, r.Node.Name)
		}
	}
	if len(holders) > 0 {
		errs = append(errs, fmt.Errorf("there is data of etcd on %s: if that is a majority of the members, etcd comes up by itself once they are started; "+
			"else run `firstboot bootstrap` there, which goes on with it. If what they hold is to be given up, say --force", seeds.Words(holders)))
	}
	return errors.Join(errs...)
}

// chooseSnapshot is the file that is restored.
func chooseSnapshot(named string, own peer.Answer, snapshots []string) (string, error) {
	switch {
	case named != "":
		return filepath.Abs(named)
	case own.Etcd == peer.Data:
		return "", errors.New("this node has data of etcd, which is newer than any snapshot: `firstboot bootstrap` goes on with that. To give it up, name the snapshot to restore")
	case len(snapshots) > 0:
		return filepath.Join(snapshotDir, snapshots[len(snapshots)-1]), nil
	}
	return "", fmt.Errorf("this node has no data of etcd and no snapshot in %s: name one of another node's, or see bootstrap in firstboot(8)", snapshotDir)
}

// candidate is the node whose PostgreSQL has come furthest, of those that answer, or none.
// inStep are those that an etcd names which may be of the past.
func (j *joining) candidate(ctx context.Context, inStep []string, say func(string)) (best peer.Result, err error) {
	own, err := Holdings(ctx, j.seed, j.self, j.facts)
	if err != nil {
		return best, err
	}
	// Not j.ask: what a node of another generation holds counts, too. Of equals this node is the first.
	all := slices.Concat([]peer.Result{{Node: j.self, Answer: own}}, j.peers.Ask(ctx, otherHolders(j.seed, j.self)))
	if err := j.advance(ctx, all); err != nil {
		return best, err
	}
	best, ok := peer.Best(knownInStep(all, inStep))
	if !ok {
		return best, nil
	}
	text := best.Node.Name + " holds PostgreSQL's data that has come furthest: in synchronous mode it is the first to lead"
	databases := slices.DeleteFunc(all, func(r peer.Result) bool { return !r.Node.Runs(seeds.ServicePostgreSQL) })
	if silent := peer.Silent(databases); len(silent) > 0 {
		text += "; not asked: " + strings.Join(silent, "; ")
	}
	say(text)
	return best, nil
}

// knownInStep leaves out whom others surpass by what they have acknowledged: where several
// have come to the latest timeline, and some of them were in step, that are those. They were
// so on that timeline, since who leads on another one writes it anew.
func knownInStep(results []peer.Result, inStep []string) []peer.Result {
	latest := uint32(0)
	for _, r := range results {
		if r.HasPostgreSQL() {
			latest = max(latest, r.Answer.Progress.Timeline)
		}
	}
	known := slices.DeleteFunc(slices.Clone(results), func(r peer.Result) bool {
		return !r.HasPostgreSQL() || r.Node.Patroni.Tags.NoFailover ||
			r.Answer.Progress.Timeline != latest || !slices.Contains(inStep, r.Node.Name)
	})
	if len(known) == 0 {
		return results
	}
	return known
}

// advance asks servers that run how far they have come: they know more of themselves than
// their control files. Those that do not run do not answer.
func (j *joining) advance(ctx context.Context, results []peer.Result) error {
	config, err := pki.TLS(string(j.seed.PKI.CA), "", "")
	if err != nil {
		return err
	}
	var asking sync.WaitGroup
	for i, r := range results {
		if !r.HasPostgreSQL() {
			continue
		}
		asking.Go(func() {
			status, err := patroni.At(r.Node.Address.Addr().String(), r.Node.Patroni.RESTAPI.Port, config).Status(ctx)
			if err == nil {
				results[i].Answer.Progress = advanced(r.Answer.Progress, status)
			}
		})
	}
	asking.Wait()
	return ctx.Err()
}

// advanced is how far a server has come, by its control file and by what it says.
func advanced(p peer.Progress, s patroni.Status) peer.Progress {
	p.Timeline = max(p.Timeline, uint32(max(0, s.Timeline)))
	p.LSN = max(p.LSN, s.XLog.End())
	return p
}

// restore makes the new data beside the old, and puts it in its place.
func (j *joining) restore(ctx context.Context, from string, about snapshot, candidate string, say func(string)) error {
	unpack := func(work string) error { return j.unpack(ctx, from, about, work) }
	err := j.remake(ctx, nil, unpack, func(ctx context.Context, c dcs.Client) error {
		return c.Restored(ctx, j.seed.Cluster, candidate)
	}, say)
	if err == nil {
		say(etcdMember + " is restored, as an etcd of this member alone")
	}
	return err
}

// JoinRestored has this node's member of etcd, which has data of an etcd that is lost,
// join the one that was restored elsewhere. Its data is moved aside, and the run of
// firstboot that comes after it does the rest.
func JoinRestored(ctx context.Context, s seeds.Seed, self seeds.Node, f facts.Facts, take TakeOver, say func(string)) error {
	if !s.IsEtcdMember(self) {
		return noMember(s, self)
	}
	// What is on a volume that is not mounted would not be moved.
	if _, err := etcdHolding(s, self, f); err != nil {
		return err
	}
	var answers []membership
	for _, n := range node.EtcdMembers(s) {
		if n.Name != self.Name {
			answers = append(answers, askMembership(ctx, s, self, n))
		}
	}
	if err := decideJoin(answers); err != nil {
		return err
	}
	return takingOver(ctx, take, func() error { return moveMember(say) })
}

// membership is what a member of etcd says of the node's own.
type membership struct {
	of     string
	listed bool
	err    error // why it says nothing, such as that it has no quorum
}

// askMembership asks one member alone: those of an etcd that is lost would keep another
// from being heard.
func askMembership(ctx context.Context, s seeds.Seed, self, whom seeds.Node) (m membership) {
	m.of = whom.Name
	c, err := dcs.Connect(s, self, node.EtcdClientURL(whom))
	if err != nil {
		m.err = err
		return m
	}
	defer c.Close()
	all, err := c.Members(ctx)
	_, m.listed = dcs.FindMember(all, self.Name, node.EtcdPeerURL(self))
	m.err = err
	return m
}

// decideJoin wants an etcd with a quorum that does not list this node, and none that does.
func decideJoin(answers []membership) error {
	found := false
	var silent []string
	for _, a := range answers {
		switch {
		case a.err != nil:
			silent = append(silent, fmt.Sprintf("%s: %v", a.of, a.err))
		case a.listed:
			return fmt.Errorf("the etcd of %s lists this node, and has a quorum: there is nothing to join", a.of)
		default:
			found = true
		}
	}
	if !found {
		return fmt.Errorf("no other member has an etcd to join: run `firstboot bootstrap` or `firstboot restore-etcd` on one of them, and wait until it serves: %s", strings.Join(silent, "; "))
	}
	return nil
}

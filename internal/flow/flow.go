// Package flow is the way of a node through the other packages: a seed is found
// and planted, /etc is rendered from it, the machine is made what it says and
// joins the cluster. Each function is what one unit, or the initramfs, runs.
package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	"banyan/internal/converge"
	"banyan/internal/initramfs"
	"banyan/internal/member"
	"banyan/internal/node"
	"banyan/internal/status"
	"banyan/seeds"
)

// applyTime is how long the machine may take to become what its seed says. Joining the
// cluster has no limit: the other nodes may be started days later, and the copy of a
// large database takes its time.
const applyTime = 30 * time.Minute

// Initramfs is what the initramfs does once the root is mounted: it prepares the
// machine and renders /etc. Only what leaves no machine to boot is an error.
func Initramfs(ctx context.Context, boot initramfs.Boot) error {
	if err := initramfs.Prepare(ctx, boot); err != nil {
		return err
	}
	Render(ctx)
	return nil
}

// Render makes the files of the sealed seed, and starts nothing: it is for a root
// whose PID 1 is still to come. Where no seed was planted it does nothing. What cannot be
// rendered is shown and keeps nothing from its boot: Run meets it again, and reports it.
func Render(ctx context.Context) {
	n, err := load()
	if errors.Is(err, errNoSeed) {
		return
	}
	if err == nil {
		_, err = converge.Apply(ctx, converge.Machine{Root: "/"}, n.desired, nil)
	}
	if err != nil {
		log.Printf("this boot goes on without what of /etc could not be rendered: %v", err)
	}
}

// Run makes the machine what its sealed seed says, joins the cluster and
// reports. A second run on an unchanged node changes nothing. Where another node leads, it
// then stays until that has made the roles and databases of the seed.
func Run(ctx context.Context) error {
	if done, err := isPlanted(); err != nil {
		return err
	} else if !done {
		return errNoSeed
	}
	unlock, err := lock(ctx)
	if err != nil {
		return err
	}
	r := newReporter()
	n, err := r.run(ctx)
	err = errors.Join(err, r.finish(context.WithoutCancel(ctx), err))
	unlock()
	if err != nil {
		return err
	}
	err = member.AwaitDatabases(ctx, *n.Seed, n.Node, n.facts, func(message string) { log.Printf("databases: %s", message) })
	if ctx.Err() == nil {
		return err
	}
	return nil // it was to wait, and was told to end
}

// reporter keeps the report up to date while it is being made.
type reporter struct {
	report status.Report
	err    error // of the first write that failed
}

func newReporter() *reporter {
	return &reporter{report: status.Report{State: status.Running, Started: time.Now()}}
}

func (r *reporter) about(n planted) {
	r.report.Node, r.report.Cluster, r.report.Address = n.Node.Name, n.Seed.Cluster.Name, n.Node.Address.Addr().String()
	if n.Node.Runs(seeds.ServicePostgreSQL) {
		r.report.PostgreSQLPort, r.report.PatroniPort = n.Node.PostgreSQL.Port, n.Node.Patroni.RESTAPI.Port
	}
	r.report.EtcdMember = n.Seed.IsEtcdMember(n.Node)
	r.report.Access = node.AccessOf(*n.Seed)
	r.report.Versions = n.facts.Versions()
	r.report.Unapplied = node.Unapplied(n.Node, n.facts)
	if len(r.report.Unapplied) > 0 {
		log.Printf("the seed says more than the Patroni of this node knows: %s", strings.Join(r.report.Unapplied, ", "))
	}
}

func (r *reporter) run(ctx context.Context) (n planted, err error) {
	err = r.step("seed", func() (err error) {
		n, err = r.newest(ctx)
		return err
	})
	if err != nil {
		return n, err
	}
	r.about(n)
	// A secret that stays where anybody can read it fails the run, but not the node.
	exposed := r.step("secrets", func() error { return redactOwnPartition(ctx, n.Node.Name) })
	made, applied := r.apply(ctx, n.desired)
	if again, changed, err := seenAgain(n); err != nil {
		return n, errors.Join(exposed, applied, err)
	} else if changed {
		n = again
		made, applied = r.apply(ctx, n.desired)
	}
	if made.Failed(node.StepEtcd) || made.Failed(node.StepRaft) || made.Failed(node.StepPatroni) {
		return n, errors.Join(exposed, applied)
	}
	if n.facts.Left {
		return n, errors.Join(exposed, applied, r.step("join", func() error { return errLeft }))
	}
	// A swap file that cannot be made, or the like, keeps no node from its cluster.
	return n, errors.Join(exposed, applied, r.join(ctx, n))
}

// seenAgain looks whether a volume that is mounted by now has the data of another
// version of PostgreSQL than the one that n was computed for, as that of a node which is
// installed anew.
func seenAgain(n planted) (planted, bool, error) {
	if !n.Node.Runs(seeds.ServicePostgreSQL) {
		return n, false, nil
	}
	f, err := gatherFacts()
	if err != nil {
		return n, false, err
	}
	before, err := node.PostgreSQLVersion(n.Node, n.facts)
	now, err2 := node.PostgreSQLVersion(n.Node, f)
	if err := errors.Join(err, err2); err != nil || before == now {
		return n, false, err
	}
	log.Printf("PostgreSQL %d has data here, which was not mounted before", now)
	again, err := compute(n.Found, f)
	return again, true, err
}

// look is the command that shows more of an error.
const look = "journalctl -b -u banyan-firstboot"

// step runs one step and reports it.
func (r *reporter) step(name string, do func() error) error {
	r.report.Begin(name)
	r.write()
	err := do()
	r.report.End(err, look)
	r.write()
	return err
}

// join makes the node a member and reports each of its steps.
func (r *reporter) join(ctx context.Context, n planted) error {
	err := member.Join(ctx, *n.Seed, n.Node, n.facts, func(step, message string) {
		log.Printf("%s: %s", step, message)
		r.report.Begin(step)
		r.report.Note(message)
		r.write()
	})
	r.endJoin(err)
	return err
}

// endJoin ends the last step of joining: the one that failed, though it may have
// failed before it had anything to say.
func (r *reporter) endJoin(err error) {
	if err == nil {
		r.report.End(nil, "")
		return
	}
	failed := &member.StepError{Step: "join", Look: look, Err: err}
	_ = errors.As(err, &failed) // which step it was, if it was in one
	r.report.Begin(failed.Step)
	r.report.End(failed.Err, failed.Look)
}

// apply makes the running system agree and reports each step.
func (r *reporter) apply(ctx context.Context, desired converge.State) (converge.Report, error) {
	if err := endLease(); err != nil {
		return converge.Report{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, applyTime, fmt.Errorf("not done after %v", applyTime))
	defer cancel()
	return converge.Apply(ctx, converge.Machine{Root: "/", Live: true}, desired, func(s converge.StepReport) {
		if !s.Done {
			r.report.Begin(s.Name)
		} else {
			for _, c := range s.Changes {
				log.Printf("%s: changed %s", s.Name, c.ID)
			}
			for _, skipped := range s.Skipped {
				log.Printf("%s: skipped %s: %s", s.Name, skipped.ID, skipped.Reason)
			}
			r.report.Skip(s.Skipped)
			r.report.End(s.Err, look)
		}
		r.write()
	})
}

// write keeps the report; that it cannot be kept must not keep the node from its work.
func (r *reporter) write() {
	r.report.Updated = time.Now()
	r.err = cmp.Or(r.err, status.Write(status.Path, r.report))
}

// finish ends the report and shows it on the consoles.
func (r *reporter) finish(ctx context.Context, failure error) error {
	r.report.State = status.Done
	if failure != nil {
		r.report.State = status.Failed
	}
	r.write()
	show(ctx, status.Summary(r.report, status.Look(ctx, r.report)))
	return r.err
}

// Package member makes a configured node a member of its cluster, and takes it out again: it
// starts etcd or raft, then Patroni, so that of many nodes one founds the cluster and the
// others join it; it mends a birth that was interrupted, and makes the node born once its
// services are; and it takes and restores snapshots of etcd.
package member

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"banyan/internal/converge"
	"banyan/internal/dcs"
	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/internal/patroni"
	"banyan/internal/peer"
	"banyan/internal/pki"
	"banyan/internal/raft"
	"banyan/seeds"
)

// StepError is a step of joining that failed.
type StepError struct {
	Step string // "machine", "dcs", "cluster", "birth", "postgresql", "born", "members" or "databases"
	Look string // the command that shows more
	Err  error
}

func (e *StepError) Error() string { return e.Step + ": " + e.Err.Error() }

func (e *StepError) Unwrap() error { return e.Err }

// The units that a member consists of.
const (
	etcdUnit    = "etcd.service"
	patroniUnit = "patroni.service"
)

var here = converge.Machine{Root: "/", Live: true}

// Join makes this node, self of s, on which node.Desired has been applied, a member of its
// cluster, and returns when its services do their part. It may be
// interrupted at any instant and called again: it begins where things stand. It
// waits for as long as ctx lets it. The error of a step is a [StepError].
// progress, which may be nil, is told the step and what goes on in it.
//
// Once Join returns, the node is born and its services are enabled.
func Join(ctx context.Context, s seeds.Seed, self seeds.Node, f facts.Facts, progress func(step, message string)) error {
	if progress == nil {
		progress = func(string, string) {}
	}
	units, err := connect(ctx)
	if err != nil {
		return err
	}
	defer units.Close()
	j := joining{seed: s, facts: f, self: self, units: units}
	if err := j.dial(); err != nil {
		return err
	}
	defer j.hangUp()
	for _, step := range j.steps() {
		if err := step.do(ctx, func(message string) { progress(step.name, message) }); err != nil {
			return &StepError{Step: step.name, Look: step.look, Err: err}
		}
	}
	return nil
}

// joining is one run of Join.
type joining struct {
	seed  seeds.Seed
	facts facts.Facts
	self  seeds.Node
	units units
	peers peer.Client

	dcs    store       // where the cluster keeps its state, nil of a node that asks for none
	etcd   *dcs.Client // the same, where it is an etcd
	others *dcs.Client // the same, without this node's own member
}

// store is where a cluster keeps its state: an etcd, or Patroni's own raft.
type store interface {
	Healthy(ctx context.Context) error
	Runs(ctx context.Context, node string) (bool, error)
	Initialize(ctx context.Context) (dcs.Initialize, error)
	Forget(ctx context.Context, was dcs.Initialize) error
	KnowsNewer(ctx context.Context, cluster seeds.Cluster) (bool, error)
	Record(ctx context.Context, cluster seeds.Cluster) error
}

// dial makes the clients that the node's services need.
func (j *joining) dial() error {
	config, err := pki.TLS(string(j.seed.PKI.CA), string(j.self.PKI.Certificate), j.self.PKI.Key.Reveal())
	if err != nil {
		return err
	}
	j.peers = peer.NewClient(j.seed.Cluster, config)
	if j.seed.IsRaftMember(j.self) {
		j.dcs = raft.NewClient(j.seed.Cluster.Name)
	}
	endpoints := node.EtcdEndpoints(j.seed, j.self)
	if len(endpoints) == 0 {
		return nil
	}
	all, err := dcs.Connect(j.seed, j.self, endpoints...)
	if err != nil {
		return err
	}
	j.dcs, j.etcd, j.others = all, &all, &all
	if !j.seed.IsEtcdMember(j.self) || len(endpoints) == 1 {
		return nil
	}
	others, err := dcs.Connect(j.seed, j.self, endpoints[1:]...)
	if err != nil {
		return errors.Join(err, all.Close())
	}
	j.others = &others
	return nil
}

// hangUp closes the clients. Closing fails only where one is closed already.
func (j *joining) hangUp() {
	if j.etcd != nil {
		_ = j.etcd.Close()
	}
	if j.others != nil && j.others != j.etcd {
		_ = j.others.Close()
	}
}

// step is a part of joining.
type step struct {
	name, look string
	do         func(context.Context, func(string)) error
}

func (j *joining) steps() []step {
	const etcdLog, patroniLog = "journalctl -b -u etcd", "journalctl -b -u patroni"
	known := "etcdctl get --prefix " + node.PatroniNamespace + j.seed.Cluster.Name + "/banyan/"
	var steps []step
	if j.facts.Moved {
		steps = append(steps, step{"machine", "cat " + facts.MachineFile, j.proveOriginal})
	}
	switch {
	case j.seed.IsEtcdMember(j.self):
		steps = append(steps, step{"dcs", etcdLog, j.startEtcd})
	case j.seed.IsRaftMember(j.self):
		known = "journalctl -b -u " + node.RaftUnit
		steps = append(steps, step{"dcs", known, j.startRaft})
	case j.dcs != nil:
		steps = append(steps, step{"dcs", "etcdctl endpoint health", j.awaitDCS})
	}
	if j.dcs != nil {
		steps = append(steps, step{"cluster", known, j.record})
	}
	if j.self.Runs(seeds.ServicePostgreSQL) {
		steps = append(steps, step{"birth", patroniLog, j.preparePostgreSQL}, step{"postgresql", patroniLog, j.startPatroni})
	}
	if j.seed.HoldsState(j.self) {
		steps = append(steps, step{"born", "ls -la " + facts.StateDir, j.makeBorn})
	}
	if j.seed.IsEtcdMember(j.self) {
		steps = append(steps, step{"members", "etcdctl member list", j.tendMembers})
	}
	// The last, since a person may have to mend what fails here.
	if j.self.Runs(seeds.ServicePostgreSQL) {
		steps = append(steps, step{"databases", "journalctl -b -u banyan-firstboot", j.makeDatabases})
	}
	return steps
}

// awaitDCS waits for an etcd that other nodes, or others altogether, run.
func (j *joining) awaitDCS(ctx context.Context, say func(string)) error {
	return poll(ctx, say, func() (bool, string, error) {
		if err := j.dcs.Healthy(ctx); err != nil {
			return false, fmt.Sprintf("waits for etcd at %s: %v", strings.Join(node.EtcdEndpoints(j.seed, j.self), ", "), err), nil
		}
		return true, "", nil
	})
}

// record compares the seed with the cluster's, and has the cluster know its generation.
func (j *joining) record(ctx context.Context, say func(string)) error {
	return poll(ctx, say, func() (bool, string, error) {
		newer, err := j.dcs.KnowsNewer(ctx, j.seed.Cluster)
		if err == nil && !newer {
			err = j.dcs.Record(ctx, j.seed.Cluster)
		}
		if dcs.MayPass(err) { // on busy machines etcd elects its leader more than once
			return false, fmt.Sprintf("waits for etcd: %v", err), nil
		}
		if newer {
			say("the cluster knows a seed of a later generation than this one, which so decides nothing: give this node its new seed")
		}
		return true, "", err
	})
}

// startPatroni waits until the node's PostgreSQL leads or follows. Patroni takes the lock
// after it has made the roles and written the system identifier into the DCS.
func (j *joining) startPatroni(ctx context.Context, say func(string)) error {
	say("starting " + patroniUnit)
	if err := makeHere(ctx, converge.Directory{Path: filepath.Dir(node.PatroniMayStart), Mode: 0o755}, converge.File{Path: node.PatroniMayStart, Mode: 0o644}); err != nil {
		return err
	}
	if err := j.units.start(ctx, patroniUnit); err != nil {
		return err
	}
	client, err := j.patroni()
	if err != nil {
		return err
	}
	return poll(ctx, say, func() (bool, string, error) {
		s, err := client.Status(ctx)
		if err == nil && (s.Leads() || s.Follows()) {
			return true, "", nil
		}
		if err == nil {
			return false, postgresqlState(s), nil
		}
		state, stateErr := j.units.state(ctx, patroniUnit)
		if stateErr != nil {
			return false, "", stateErr
		}
		if !j.facts.Born && !state.running() {
			return false, "", fmt.Errorf("PostgreSQL's first start failed: %s; a new attempt begins anew", state)
		}
		return false, state.explain(err), nil
	})
}

func postgresqlState(s patroni.Status) string {
	state := fmt.Sprintf("PostgreSQL is %s, role %s", s.State, s.Role)
	if s.Pause {
		state += "; the cluster is paused, see patronictl resume"
	}
	return state
}

// makeBorn writes the marker, takes away what was there for the birth, and makes
// the configuration that of a born node.
func (j *joining) makeBorn(ctx context.Context, say func(string)) error {
	if !j.facts.Born {
		note := fmt.Sprintf("cluster %s\n", j.seed.Cluster.Name)
		if id := string(j.seed.Cluster.ID); id != "" {
			note += "id " + id + "\n"
		}
		if err := makeHere(ctx, marker(facts.BornMarker, note)...); err != nil {
			return err
		}
		say(facts.BornMarker + " is written")
	}
	if j.self.Runs(seeds.ServicePostgreSQL) {
		version, err := node.PostgreSQLVersion(j.self, j.facts)
		if err != nil {
			return err
		}
		if err := makeHere(ctx, marker(facts.VersionFile, fmt.Sprintf("%d\n", version))...); err != nil {
			return err
		}
	}
	if id := j.facts.Identity(); id != "" {
		if err := makeHere(ctx, marker(facts.MachineFile, id+"\n")...); err != nil {
			return err
		}
	}
	changed := !j.facts.Joins()
	for _, path := range []string{birthMarker, facts.CopyMarker, birthDropIn, orderDCS, orderPostgreSQL} {
		there, err := durable.Exists(path)
		if err != nil {
			return err
		}
		if err := durable.Remove(path); err != nil {
			return err
		}
		changed = changed || there
	}
	if !changed {
		return nil
	}
	f := j.facts
	f.Born, f.Moved = true, false
	state, err := node.Desired(j.seed, j.self, f)
	if err != nil {
		return err
	}
	state.Steps = slices.DeleteFunc(state.Steps, func(s converge.Step) bool {
		return !slices.Contains([]string{node.StepEtcd, node.StepRaft, node.StepPatroni}, s.Name)
	})
	_, err = converge.Apply(ctx, here, state, nil)
	return err
}

// patroni asks the node's own Patroni.
func (j *joining) patroni() (patroni.Client, error) {
	config, err := pki.TLS(string(j.seed.PKI.CA), "", "")
	return patroni.At(j.self.Address.Addr().String(), j.self.Patroni.RESTAPI.Port, config), err
}

// makeHere makes resources on this machine.
func makeHere(ctx context.Context, r ...converge.Resource) error {
	_, err := converge.Apply(ctx, here, converge.State{Steps: []converge.Step{{Name: "member", Resources: r}}}, nil)
	return err
}

// marker is a file, and its directory, that survives a power cut once applied.
func marker(path, content string) []converge.Resource {
	return []converge.Resource{
		converge.Directory{Path: filepath.Dir(path), Mode: 0o700},
		converge.File{Path: path, Mode: 0o600, Content: content},
	}
}

const pollInterval = time.Second

// poll asks until what is awaited is there, telling what it waits for whenever
// that changes. When ctx ends, its error is the last of that.
func poll(ctx context.Context, say func(string), ask func() (done bool, waiting string, err error)) error {
	return pollEvery(ctx, pollInterval, say, ask)
}

func pollEvery(ctx context.Context, interval time.Duration, say func(string), ask func() (done bool, waiting string, err error)) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	last := ""
	for {
		done, waiting, err := ask()
		if ctx.Err() != nil && last != "" {
			return fmt.Errorf("%w: %s", context.Cause(ctx), last)
		}
		if err != nil || done {
			return err
		}
		if waiting != last {
			say(waiting)
			last = waiting
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), last)
		}
	}
}

// Package member makes a configured node a member of its cluster: it starts
// etcd and Patroni in order, heals a birth that a power cut interrupted, and
// makes the node born once its PostgreSQL is.
package member

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"banyan/internal/converge"
	"banyan/internal/database"
	"banyan/internal/durable"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/internal/patroni"
	"banyan/seeds"
)

// StepError is a step of joining that failed.
type StepError struct {
	Step string // "dcs", "birth", "postgresql", "born" or "databases"
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
// cluster, and returns when its PostgreSQL serves as the leader. It may be
// interrupted at any instant and called again: it begins where things stand. It
// waits for as long as ctx lets it. The error of a step is a [StepError].
// progress, which may be nil, is told the step and what goes on in it.
//
// Once Join returns, the node is born and both services are enabled.
func Join(ctx context.Context, s seeds.Seed, self seeds.Node, f facts.Facts, progress func(step, message string)) error {
	if progress == nil {
		progress = func(string, string) {}
	}
	units, err := connect(ctx)
	if err != nil {
		return err
	}
	defer units.Close()
	dcs, err := newDCS(s.Cluster.Name)
	if err != nil {
		return err
	}
	defer dcs.Close()
	j := joining{seed: s, facts: f, self: self, units: units, dcs: dcs}

	for _, step := range []struct {
		name, look string
		do         func(context.Context, func(string)) error
	}{
		{"dcs", "journalctl -b -u etcd", j.startEtcd},
		{"birth", "journalctl -b -u patroni", j.preparePostgreSQL},
		{"postgresql", "journalctl -b -u patroni", j.startPatroni},
		{"born", "ls -la " + facts.StateDir, j.makeBorn},
		{"databases", "journalctl -b -u banyan-firstboot", j.makeDatabases},
	} {
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
	dcs   dcs
}

func (j *joining) startEtcd(ctx context.Context, say func(string)) error {
	state, err := j.units.state(ctx, etcdUnit)
	if err != nil {
		return err
	}
	if j.facts.Born || !state.running() {
		if err := j.prepareEtcd(ctx, say); err != nil {
			return err
		}
	}
	say("starting " + etcdUnit)
	if err := j.units.start(ctx, etcdUnit); err != nil {
		return err
	}
	err = poll(ctx, say, func() (bool, string, error) {
		err := j.dcs.healthy(ctx)
		if err == nil {
			return true, "", nil
		}
		state, stateErr := j.units.state(ctx, etcdUnit)
		if stateErr != nil {
			return false, "", stateErr
		}
		return false, state.explain(err), nil
	})
	if err != nil {
		return err
	}
	return endEtcdBirth()
}

// startPatroni waits until the node leads the cluster. Patroni takes the lock after
// it has made the roles and written the system identifier into the DCS.
func (j *joining) startPatroni(ctx context.Context, say func(string)) error {
	say("starting " + patroniUnit)
	if err := j.units.start(ctx, patroniUnit); err != nil {
		return err
	}
	client := patroni.At(j.self.Address.Addr().String(), j.self.Patroni.RESTAPI.Port)
	return poll(ctx, say, func() (bool, string, error) {
		s, err := client.Status(ctx)
		if err == nil && s.Leads() {
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
			return false, "", fmt.Errorf("the birth of the cluster failed: %s; a new attempt begins anew", state)
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
		key, err := j.dcs.readInitialize(ctx)
		if err != nil {
			return err
		}
		if !key.born() {
			return fmt.Errorf("PostgreSQL is the leader, and yet there is %s", key)
		}
		note := fmt.Sprintf("cluster %s\nsystem identifier %s\n", j.seed.Cluster.Name, key.value)
		if err := makeHere(ctx, marker(facts.BornMarker, note)...); err != nil {
			return err
		}
		say(facts.BornMarker + " is written")
	}
	version, err := node.PostgreSQLVersion(j.self, j.facts)
	if err != nil {
		return err
	}
	if err := makeHere(ctx, marker(facts.VersionFile, fmt.Sprintf("%d\n", version))...); err != nil {
		return err
	}
	changed := !j.facts.Born
	for _, path := range []string{birthMarker, birthDropIn} {
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
	f.Born = true
	state, err := node.Desired(j.seed, j.self, f)
	if err != nil {
		return err
	}
	state.Steps = slices.DeleteFunc(state.Steps, func(s converge.Step) bool { return s.Name != node.StepEtcd && s.Name != node.StepPatroni })
	_, err = converge.Apply(ctx, here, state, nil)
	return err
}

// makeDatabases is for the leader: what it makes is in the write-ahead log of all others,
// also of a standby cluster.
func (j *joining) makeDatabases(ctx context.Context, say func(string)) error {
	s, err := patroni.At(j.self.Address.Addr().String(), j.self.Patroni.RESTAPI.Port).Status(ctx)
	if err != nil || !s.Leads() || s.Role == "standby_leader" {
		return err
	}
	version, err := node.PostgreSQLVersion(j.self, j.facts)
	if err != nil {
		return err
	}
	return database.Apply(ctx, j.seed, node.DataDir(j.self, version), version, say)
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
	tick := time.NewTicker(pollInterval)
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

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
	"banyan/internal/dcs"
	"banyan/internal/durable"
	"banyan/internal/node"
)

// etcdFirstStart has etcd found or join a cluster, at its first start alone. It lies in
// /run, so that a power cut ends it too; and it is read after /etc/default/etcd, since
// systemd lets the last file count.
const (
	etcdFirstStart    = "/run/systemd/system/" + etcdUnit + ".d/zz-first-start.conf"
	etcdFirstStartEnv = "/run/banyan/etcd-first-start.env"
)

// firstStart makes ready for the first start of a member, and starts one that others have
// listed.
func (j *joining) firstStart(ctx context.Context, f etcdFindings, c course, say func(string)) error {
	if c == isolate {
		return j.goOnAlone(ctx, say)
	}
	if c == resume {
		variables, err := os.ReadFile(etcdBirthMarker)
		if err != nil {
			return err
		}
		return prepareFirstStart(ctx, string(variables))
	}
	if f.cluster || c == startOver {
		if err := moveMember(say); err != nil {
			return err
		}
	}
	if !f.cluster && f.bootstrap {
		if made, err := j.beginAround(ctx, say); made || err != nil {
			return err
		}
	}
	if err := makeHere(ctx, marker(etcdBirthMarker, etcdBirthNote)...); err != nil {
		return err
	}
	if !f.cluster {
		return prepareFirstStart(ctx, lines(initialCluster(stateNew, j.alone())))
	}
	started := false
	err := j.others.Locked(ctx, func(ctx context.Context) error {
		variables, err := j.enter(ctx, c)
		if err != nil {
			return err
		}
		if err := prepareFirstStart(ctx, variables); err != nil {
			return err
		}
		// Before etcd 3.4 it has its vote already, and of two members both have to run for
		// anything to be written, such as the end of the lock.
		if err := j.units.start(ctx, etcdUnit); err != nil {
			return err
		}
		started = true
		return nil
	})
	if started && err != nil { // the lock goes with its lease
		say(err.Error())
		return nil
	}
	return err
}

// alone is a cluster of this node's member, as ETCD_INITIAL_CLUSTER wants it.
func (j *joining) alone() string { return j.self.Name + "=" + node.EtcdPeerURL(j.self) }

// etcdBirthNote begins the marker, which has the variables of the first start too where
// others have listed the member for it.
const etcdBirthNote = "# etcd's data directory is being made\n"

// States of a cluster that a member founds, and that it joins.
const stateNew, stateExisting = "new", "existing"

// enteredEtcd tells whether others have listed the member for the start that was begun.
func enteredEtcd() (bool, error) {
	variables, err := os.ReadFile(etcdBirthMarker)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return strings.HasSuffix(string(variables), "ETCD_INITIAL_CLUSTER_STATE="+stateExisting+"\n"), err
}

// initialCluster are etcd's variables for a first start.
func initialCluster(state string, members ...string) []string {
	return []string{"ETCD_INITIAL_CLUSTER=" + strings.Join(members, ","), "ETCD_INITIAL_CLUSTER_STATE=" + state}
}

// lines are variables as a file has them.
func lines(variables []string) string { return strings.Join(variables, "\n") + "\n" }

// prepareFirstStart has etcd start with further variables, and without data.
func prepareFirstStart(ctx context.Context, variables string) error {
	return makeHere(ctx,
		converge.Directory{Path: filepath.Dir(etcdFirstStartEnv), Mode: 0o755},
		converge.File{Path: etcdFirstStartEnv, Mode: 0o644, Content: variables},
		converge.Directory{Path: filepath.Dir(etcdFirstStart), Mode: 0o755},
		// The condition of the unit is that it has data.
		converge.File{Path: etcdFirstStart, Mode: 0o644, Content: "[Unit]\nConditionDirectoryNotEmpty=\n[Service]\nEnvironmentFile=" + etcdFirstStartEnv + "\n"},
		converge.Unit{Name: etcdUnit}) // for its daemon-reload
}

// enter has the others list this node, and returns the variables of its first start.
func (j *joining) enter(ctx context.Context, c course) (variables string, err error) {
	url := node.EtcdPeerURL(j.self)
	members, err := j.others.Members(ctx) // under the lock by now
	if err != nil {
		return "", err
	}
	m, listed := dcs.FindMember(members, j.self.Name, url)
	if listed && m.Started() {
		if c == join {
			return "", fmt.Errorf("%w: %s was started", errChanged, m)
		}
		if err := j.stillSilent(ctx, m, members); err != nil {
			return "", err
		}
	}
	// One that was never started may have acknowledged what is lost, too.
	if listed {
		if err := j.others.Remove(ctx, m.ID); err != nil {
			return "", err
		}
		members = slices.DeleteFunc(members, func(other dcs.Member) bool { return other.ID == m.ID })
	}
	// The others count on it from the next step on, also after a power cut. If they never come
	// to it, etcd refuses to start, since it is not listed, and what is decided is decided anew.
	variables = etcdBirthNote + lines(initialCluster(stateExisting, append(meets(members), j.alone())...))
	if err := makeHere(ctx, marker(etcdBirthMarker, variables)...); err != nil {
		return "", err
	}
	return variables, j.others.Add(ctx, url)
}

// meets are members as ETCD_INITIAL_CLUSTER wants them.
func meets(members []dcs.Member) []string {
	var cluster []string
	for _, m := range members {
		name := m.Name
		if name == "" { // another that joins: only its place counts
			name = fmt.Sprintf("%x", m.ID)
		}
		for _, u := range m.PeerURLs {
			cluster = append(cluster, name+"="+u)
		}
	}
	return cluster
}

// stillSilent is an error where a member is heard of, who was not before the lock was there.
func (j *joining) stillSilent(ctx context.Context, m dcs.Member, members []dcs.Member) error {
	active, err := j.others.Active(ctx, m, members)
	if err == nil && active {
		err = fmt.Errorf("%w: %s is heard of again", errChanged, m)
	}
	return err
}

// moveMember moves what etcd has aside, where it has anything.
func moveMember(say func(string)) error {
	there, err := durable.Exists(etcdMember)
	if err != nil || !there {
		return err
	}
	aside, err := moveAside(etcdMember, time.Now())
	if err != nil {
		return err
	}
	say("moved etcd's data to " + aside)
	return nil
}

// endEtcdBirth is for a healthy etcd, before anything is written to it.
func endEtcdBirth(ctx context.Context) error {
	if err := durable.Remove(etcdBirthMarker); err != nil {
		return err
	}
	there, err := durable.Exists(etcdFirstStart)
	if err != nil || !there {
		return err
	}
	if err := errors.Join(durable.Remove(etcdFirstStart), durable.Remove(etcdFirstStartEnv)); err != nil {
		return err
	}
	return makeHere(ctx, converge.Unit{Name: etcdUnit})
}

package member

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
		// https://etcd.io/docs/v3.5/op-guide/recovery/, but for the data, which is there
		return prepareFirstStart(ctx, "ETCD_FORCE_NEW_CLUSTER=true\n")
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
		cluster, err := j.enter(ctx, c)
		if err != nil {
			return err
		}
		// The others count on it from now on, also after a power cut.
		variables := etcdBirthNote + lines(initialCluster(stateExisting, cluster...))
		if err := makeHere(ctx, marker(etcdBirthMarker, variables)...); err != nil {
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

// enter has the others list this node, and returns whom it will meet, as
// ETCD_INITIAL_CLUSTER wants it: all that are listed, and itself.
func (j *joining) enter(ctx context.Context, c course) ([]string, error) {
	url := node.EtcdPeerURL(j.self)
	members, err := j.others.Members(ctx) // under the lock by now
	if err != nil {
		return nil, err
	}
	m, listed := dcs.FindMember(members, j.self.Name, url)
	if listed && m.Started() {
		if c == join {
			return nil, fmt.Errorf("%w: %s was started", errChanged, m)
		}
		if err := j.stillSilent(ctx, m, members); err != nil {
			return nil, err
		}
	}
	// One that was never started may have acknowledged what is lost, too.
	if listed {
		if err := j.others.Remove(ctx, m.ID); err != nil {
			return nil, err
		}
	}
	if m.ID, members, err = j.others.Add(ctx, url); err != nil {
		return nil, err
	}
	var cluster []string
	for _, other := range members {
		name := other.Name
		if other.ID == m.ID {
			name = j.self.Name
		}
		if name == "" { // another that joins: only its place counts
			name = fmt.Sprintf("%x", other.ID)
		}
		for _, u := range other.PeerURLs {
			cluster = append(cluster, name+"="+u)
		}
	}
	return cluster, nil
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

package member

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/converge"
	"banyan/internal/dcs"
	"banyan/internal/durable"
	"banyan/internal/node"
	"banyan/seeds"
)

// workDir is a directory beside etcd's data, which is to be made.
func workDir() (string, error) {
	parent := filepath.Dir(node.EtcdDataDir)
	if err := removeUnfinished(parent); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, unfinished)
	return filepath.Join(dir, "etcd"), err // etcd wants to make it itself
}

// newToken makes the ids of a cluster and of its member those of no other etcd. With the
// token of the first one a founder's cluster would have the ids that it had then, and a
// member which has the data of that would take this one for it.
// https://etcd.io/docs/v3.5/op-guide/recovery/
func (j *joining) newToken() string {
	return j.self.Etcd.InitialClusterToken + "-" + time.Now().UTC().Format(snapshotTime)
}

// beginAround begins an etcd around PostgreSQL's data, where any node holds some that the
// cluster was born with: in synchronous mode only who has come furthest may lead at first.
// Patroni runs on the others already, and who is behind may be the first to come.
func (j *joining) beginAround(ctx context.Context, say func(string)) (made bool, err error) {
	best, err := j.candidate(ctx, nil, say)
	if err != nil || best.Answer.SystemID == "" {
		return false, err
	}
	say("begins an etcd for the PostgreSQL cluster " + best.Answer.SystemID)
	variables := append(initialCluster(stateNew, j.alone()), "ETCD_INITIAL_CLUSTER_TOKEN="+j.newToken())
	return true, j.remake(ctx, variables, nil, func(ctx context.Context, c dcs.Client) error {
		return c.Adopt(ctx, best.Answer.SystemID, best.Node.Name)
	}, say)
}

// goOnAlone makes of etcd's data that is there an etcd of this member alone. The others have
// gone on without it for some time, maybe, so that who led by it is not known to be true, and
// who was in step by the timelines alone: see [dcs.Client.Restored].
// https://etcd.io/docs/v3.5/op-guide/recovery/, but for the data, which is there.
func (j *joining) goOnAlone(ctx context.Context, say func(string)) error {
	fill := func(work string) error {
		if err := os.Mkdir(work, 0o700); err != nil {
			return err
		}
		_, err := command.Run(ctx, "cp", "--archive", "--reflink=auto", etcdMember, work)
		return err
	}
	return j.remake(ctx, []string{"ETCD_FORCE_NEW_CLUSTER=true"}, fill, func(ctx context.Context, c dcs.Client) error {
		inStep, err := c.InStep(ctx)
		if err != nil {
			return err
		}
		best, err := j.candidate(ctx, inStep, say)
		if err != nil {
			return err
		}
		return c.Restored(ctx, j.seed.Cluster, best.Node.Name)
	}, say)
}

// remake makes etcd's data beside the old, has do change it while an etcd with further
// variables runs on it for this node alone, and puts it in its place. fill, which may be nil,
// makes it before that etcd starts.
func (j *joining) remake(ctx context.Context, variables []string, fill func(work string) error, do func(context.Context, dcs.Client) error, say func(string)) (err error) {
	if err := makeHere(ctx, converge.Directory{Path: node.EtcdDataDir, Mode: 0o700, Owner: "etcd"}); err != nil {
		return err
	}
	work, err := workDir()
	defer func() { err = errors.Join(err, removeUnfinished(filepath.Dir(node.EtcdDataDir))) }()
	if err != nil {
		return err
	}
	if fill != nil {
		if err := fill(work); err != nil {
			return err
		}
	}
	if err := j.withPrivateEtcd(ctx, work, variables, say, do); err != nil {
		return err
	}
	return placeMember(ctx, work, say)
}

// placeMember puts the data that was made in work in the place of etcd's, which is moved
// aside.
func placeMember(ctx context.Context, work string, say func(string)) error {
	if err := handOver(ctx, work, "etcd"); err != nil {
		return err
	}
	if err := moveMember(say); err != nil {
		return err
	}
	// What is there from here on is no birth of ours.
	if err := durable.Remove(etcdBirthMarker); err != nil {
		return err
	}
	return durable.Rename(filepath.Join(work, "member"), etcdMember)
}

// unpack restores a snapshot into a directory that is not there yet.
func (j *joining) unpack(ctx context.Context, from string, about snapshot, work string) error {
	url := node.EtcdPeerURL(j.self)
	_, err := command.Command{
		Name: node.SnapshotProgram(j.facts),
		Args: []string{
			"snapshot", "restore", from, "--data-dir=" + work, "--name=" + j.self.Name,
			"--initial-cluster=" + j.alone(), "--initial-advertise-peer-urls=" + url,
			"--initial-cluster-token=" + j.newToken(),
			"--skip-hash-check=" + strconv.FormatBool(!about.summed),
		},
		Env: []string{"ETCDCTL_API=3"},
	}.Run(ctx)
	return err
}

// privateURL is where an etcd is asked that nobody but this node shall ask. The node's own
// Patroni asks at the node's address.
var privateURL = fmt.Sprintf("https://127.0.0.1:%d", seeds.EtcdClientPort)

// privateTime is long enough for a database of the largest size that etcd advises.
const privateTime = 5 * time.Minute

// withPrivateEtcd runs etcd on a data directory, with further variables, while something is
// done with it. It ends as systemd would end it, so that all is in its files.
func (j *joining) withPrivateEtcd(ctx context.Context, data string, variables []string, say func(string), do func(context.Context, dcs.Client) error) error {
	enough := errors.New("it has done its part")
	ctx, cancel := context.WithTimeoutCause(ctx, privateTime, fmt.Errorf("not done after %v", privateTime))
	defer cancel()
	running, stop := context.WithCancelCause(ctx)
	defer stop(enough)
	ended := make(chan error, 1)
	go func() {
		_, err := command.Command{Name: "etcd", Env: slices.Concat(node.EtcdEnvironment(j.self, j.facts), []string{ // the last of a name counts
			"ETCD_DATA_DIR=" + data, "ETCD_LISTEN_CLIENT_URLS=" + privateURL,
			fmt.Sprintf("ETCD_LISTEN_PEER_URLS=https://127.0.0.1:%d", seeds.EtcdPeerPort), "ETCD_LISTEN_METRICS_URLS=",
		}, variables)}.Run(running)
		if err == nil {
			err = errors.New("etcd ended by itself")
		}
		ended <- err
		stop(err) // whoever waits for it
	}()
	err := j.withPrivateClient(running, say, do)
	stop(enough)
	if end := <-ended; !errors.Is(end, enough) && !errors.Is(err, end) {
		err = errors.Join(err, end)
	}
	return err
}

func (j *joining) withPrivateClient(ctx context.Context, say func(string), do func(context.Context, dcs.Client) error) error {
	client, err := dcs.Connect(j.seed, j.self, privateURL)
	if err != nil {
		return err
	}
	defer client.Close()
	err = poll(ctx, say, func() (bool, string, error) {
		if err := client.Healthy(ctx); err != nil {
			return false, fmt.Sprintf("starting an etcd for this node alone: %v", err), nil
		}
		return true, "", nil
	})
	if err != nil {
		return err
	}
	return do(ctx, client)
}

// handOver gives a tree to the service that it is for, and puts it on the disk.
func handOver(ctx context.Context, dir, owner string) error {
	if _, err := command.Run(ctx, "chown", "--recursive", "--no-dereference", owner+":", dir); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}

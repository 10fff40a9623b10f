package member

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"banyan/internal/command"
	"banyan/internal/dcs"
	"banyan/internal/node"
	"banyan/seeds"
)

// unpack restores a snapshot beside etcd's data, and says where.
//
// Its token, and so the ids of the cluster and of its member, are no other etcd's. With
// the token of the first one a founder's cluster would have the ids that it had then, and
// a member which has the data of that would take this one for it.
// https://etcd.io/docs/v3.5/op-guide/recovery/
func (j *joining) unpack(ctx context.Context, from string, about snapshot) (work string, err error) {
	parent := filepath.Dir(node.EtcdDataDir)
	if err := removeUnfinished(parent); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, unfinished)
	if err != nil {
		return "", err
	}
	work = filepath.Join(dir, "etcd") // etcd wants to make it itself
	url := node.EtcdPeerURL(j.self)
	_, err = command.Command{
		Name: node.SnapshotProgram(j.facts),
		Args: []string{
			"snapshot", "restore", from, "--data-dir=" + work, "--name=" + j.self.Name,
			"--initial-cluster=" + j.self.Name + "=" + url, "--initial-advertise-peer-urls=" + url,
			"--initial-cluster-token=" + j.self.Etcd.InitialClusterToken + "-" + time.Now().UTC().Format(snapshotTime),
			"--skip-hash-check=" + strconv.FormatBool(!about.summed),
		},
		Env: []string{"ETCDCTL_API=3"},
	}.Run(ctx)
	return work, err
}

// privateURL is where an etcd is asked that nobody but this node shall ask. The node's own
// Patroni asks at the node's address.
var privateURL = fmt.Sprintf("https://127.0.0.1:%d", seeds.EtcdClientPort)

// privateTime is long enough for a database of the largest size that etcd advises.
const privateTime = 5 * time.Minute

// withPrivateEtcd runs etcd on a data directory while something is done with it. It ends
// as systemd would end it, so that all is in its files.
func (j *joining) withPrivateEtcd(ctx context.Context, data string, say func(string), do func(context.Context, dcs.Client) error) error {
	enough := errors.New("it has done its part")
	ctx, cancel := context.WithTimeoutCause(ctx, privateTime, fmt.Errorf("not done after %v", privateTime))
	defer cancel()
	running, stop := context.WithCancelCause(ctx)
	defer stop(enough)
	ended := make(chan error, 1)
	go func() {
		_, err := command.Command{Name: "etcd", Env: append(node.EtcdEnvironment(j.self, j.facts), // the last of a name counts
			"ETCD_DATA_DIR="+data, "ETCD_LISTEN_CLIENT_URLS="+privateURL,
			fmt.Sprintf("ETCD_LISTEN_PEER_URLS=https://127.0.0.1:%d", seeds.EtcdPeerPort), "ETCD_LISTEN_METRICS_URLS=",
		)}.Run(running)
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

// Package raft asks the raft of Patroni's own in which a cluster keeps its state, as
// package dcs asks etcd. It asks by [node.RaftProgram], which knows PySyncObj's protocol and
// takes the password from the node's configuration.
package raft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"time"

	"banyan/internal/command"
	"banyan/internal/dcs"
	"banyan/internal/node"
	"banyan/seeds"
)

// answerTimeout is for one answer: Python has to start, and to be told all that the cluster
// has agreed to. Without a majority there is no answer.
const answerTimeout = 30 * time.Second

// Client asks the raft of one cluster on one of its members, whether that runs or not.
type Client struct{ scope string }

// NewClient makes a client for the cluster of that name.
func NewClient(scope string) Client { return Client{scope} }

// errChanged says that a key is not what it was to be.
var errChanged = errors.New("the key has changed")

// run runs the program, which exits with 3 where a key is otherwise.
func run(ctx context.Context, verb string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, errors.New("no leader answers"))
	defer cancel()
	out, err := command.Run(ctx, node.Python, append([]string{node.RaftProgram, verb, node.RaftConfig}, arguments...)...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 3 {
		return "", errChanged
	}
	return out, err
}

// Healthy asks whether there is a majority that takes a write.
func (Client) Healthy(ctx context.Context) error {
	_, err := run(ctx, "get")
	return err
}

// get reads keys as a majority has them. Those that are not there are nil.
func (Client) get(ctx context.Context, keys ...string) (map[string]*string, error) {
	out, err := run(ctx, "get", keys...)
	if err != nil {
		return nil, fmt.Errorf("read from raft: %w", err)
	}
	var values map[string]*string
	if err := json.Unmarshal([]byte(out), &values); err != nil {
		return nil, fmt.Errorf("read from raft: %w", err)
	}
	return values, nil
}

// path is the path of one of the cluster's keys.
func (c Client) path(key string) string { return node.PatroniNamespace + c.scope + "/" + key }

// Keys of the cluster: Patroni's own, and what Banyan keeps beside them, as package dcs does.
const (
	initialize = "initialize"
	members    = "members/"
	id         = "banyan/id"
	generation = "banyan/generation"
)

// Runs tells whether the Patroni of a node renews its key, or has done so within ttl.
func (c Client) Runs(ctx context.Context, node string) (bool, error) {
	path := c.path(members + node)
	values, err := c.get(ctx, path)
	return values[path] != nil, err
}

// Initialize reads Patroni's key.
func (c Client) Initialize(ctx context.Context) (dcs.Initialize, error) {
	path := c.path(initialize)
	values, err := c.get(ctx, path)
	if err != nil || values[path] == nil {
		return dcs.Initialize{}, err
	}
	return dcs.Initialize{There: true, Value: *values[path]}, nil
}

// Forget deletes /initialize if it still is what it was.
func (c Client) Forget(ctx context.Context, was dcs.Initialize) error {
	if !was.There {
		return nil
	}
	path := c.path(initialize)
	_, err := run(ctx, "delete", path, was.Value)
	if errors.Is(err, errChanged) {
		return fmt.Errorf("%s changed while the birth was being prepared: somebody else is at it", path)
	}
	if err != nil {
		return fmt.Errorf("delete %s from raft: %w", path, err)
	}
	return nil
}

func (c Client) recorded(ctx context.Context) (dcs.Recorded, error) {
	values, err := c.get(ctx, c.path(id), c.path(generation))
	return dcs.Recorded{ID: values[c.path(id)], Generation: values[c.path(generation)]}, err
}

// KnowsNewer compares the cluster and the generation of a seed with those that the raft
// knows: see [dcs.Recorded.Newer].
func (c Client) KnowsNewer(ctx context.Context, cluster seeds.Cluster) (bool, error) {
	r, err := c.recorded(ctx)
	if err != nil {
		return false, err
	}
	return r.Newer(cluster)
}

// Record writes cluster and generation of a seed to the raft, unless it knows a later one.
// Where another node is first, that is with the same ones or a later generation.
func (c Client) Record(ctx context.Context, cluster seeds.Cluster) error {
	r, err := c.recorded(ctx)
	if err != nil {
		return err
	}
	if newer, err := r.Newer(cluster); newer || err != nil {
		return err
	}
	if r.ID == nil {
		if err := c.put(ctx, c.path(id), string(cluster.ID)); err != nil {
			return err
		}
	}
	own := strconv.Itoa(cluster.Generation)
	var before []string
	if r.Generation != nil {
		if *r.Generation == own {
			return nil
		}
		before = append(before, *r.Generation)
	}
	return c.put(ctx, c.path(generation), own, before...)
}

// put writes a key that is not there yet or, where before is given, still is that. Else
// another node was first, and it writes nothing.
func (Client) put(ctx context.Context, key, value string, before ...string) error {
	_, err := run(ctx, "put", append([]string{key, value}, before...)...)
	if err != nil && !errors.Is(err, errChanged) {
		return fmt.Errorf("write %s to raft: %w", key, err)
	}
	return nil
}

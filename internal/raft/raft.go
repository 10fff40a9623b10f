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
	"time"

	"banyan/internal/command"
	"banyan/internal/dcs"
	"banyan/internal/node"
)

// answerTimeout is for one answer: Python has to start, and to be told all that the cluster
// has agreed to. Without a majority there is no answer.
const answerTimeout = 30 * time.Second

// Client asks the raft of one cluster on one of its members, whether that runs or not.
type Client struct{ scope string }

// NewClient makes a client for the cluster of that name.
func NewClient(scope string) Client { return Client{scope} }

// Close has nothing to end.
func (Client) Close() error { return nil }

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

// Get reads keys as a majority has them. Those that are not there are nil.
func (Client) Get(ctx context.Context, keys ...string) (map[string]*string, error) {
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

func (c Client) initializePath() string { return node.PatroniNamespace + c.scope + "/initialize" }

// Initialize reads Patroni's key.
func (c Client) Initialize(ctx context.Context) (dcs.Initialize, error) {
	values, err := c.Get(ctx, c.initializePath())
	if err != nil {
		return dcs.Initialize{}, err
	}
	value := values[c.initializePath()]
	if value == nil {
		return dcs.Initialize{}, nil
	}
	return dcs.Initialize{There: true, Value: *value}, nil
}

// Forget deletes /initialize if it still is what it was.
func (c Client) Forget(ctx context.Context, was dcs.Initialize) error {
	if !was.There {
		return nil
	}
	_, err := run(ctx, "delete", c.initializePath(), was.Value)
	if errors.Is(err, errChanged) {
		return fmt.Errorf("%s changed while the birth was being prepared: somebody else is at it", c.initializePath())
	}
	if err != nil {
		return fmt.Errorf("delete %s from raft: %w", c.initializePath(), err)
	}
	return nil
}

// Put writes a key that is not there yet or, where before is given, still is that. changed
// tells that it is neither: another node was first.
func (Client) Put(ctx context.Context, key, value string, before ...string) (changed bool, err error) {
	_, err = run(ctx, "put", append([]string{key, value}, before...)...)
	if errors.Is(err, errChanged) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("write %s to raft: %w", key, err)
	}
	return false, nil
}

// Package dcs is a client of the etcd that a cluster keeps its state in: its members and
// their health, Patroni's keys, and what Banyan keeps beside them.
package dcs

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"banyan/internal/node"
	"banyan/internal/pki"
	"banyan/seeds"
)

// answerTimeout is for one answer of etcd.
const answerTimeout = 5 * time.Second

// Client asks the etcd of one cluster.
type Client struct {
	etcd  *clientv3.Client
	tls   *tls.Config
	scope string
}

// Connect makes a client of self, one of the nodes of s, that asks at these endpoints,
// or at all that the node knows. It connects when it is asked something.
func Connect(s seeds.Seed, self seeds.Node, endpoints ...string) (Client, error) {
	if len(endpoints) == 0 {
		endpoints = node.EtcdEndpoints(s, self)
	}
	identity := node.EtcdIdentity(s, self)
	config, err := pki.TLS(string(identity.CA), string(identity.Certificate), identity.Key.Reveal())
	if err != nil {
		return Client{}, fmt.Errorf("etcd: %w", err)
	}
	etcd := clientv3.Config{
		Endpoints: endpoints,
		TLS:       config,
		Logger:    zap.NewNop(), // what it would say comes back as errors
		// Whoever lost its power says nothing, and TCP takes a quarter of an hour to mind.
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: answerTimeout,
		// A member that was away for long is not to be tried again after two minutes only.
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: answerTimeout,
		})},
	}
	if s.Cluster.DCS == seeds.DCSExternal {
		etcd.Username, etcd.Password = self.Etcd.Username, self.Etcd.Password.Reveal()
		etcd.DialTimeout = answerTimeout // logging in is its first question
	}
	c, err := clientv3.New(etcd)
	if err != nil {
		return Client{}, fmt.Errorf("etcd at %v: %w", endpoints, err)
	}
	return Client{c, config, s.Cluster.Name}, nil
}

// Close ends the client's connections.
func (c Client) Close() error { return c.etcd.Close() }

// ask has one answer of etcd, within answerTimeout. The endpoints take turns, and among them
// may be a learner, which answers nothing: then another one is asked. For a while the
// learner may be the only one there is a connection to.
func (c Client) ask(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := do(ctx)
		if !IsLearner(err) || len(c.etcd.Endpoints()) == 1 {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return err
		}
	}
}

// Healthy asks as `etcdctl endpoint health` does: a read that needs a quorum, which was
// there too where the answer is that this user may not read it.
func (c Client) Healthy(ctx context.Context) error {
	err := c.ask(ctx, func(ctx context.Context) error {
		_, err := c.etcd.Get(ctx, "health")
		return err
	})
	if IsDenied(err) {
		return nil
	}
	return err
}

// Initialize is Patroni's key /initialize as it is in the DCS.
type Initialize struct {
	There bool
	Value string
}

// Born tells whether the key holds the system identifier of a PostgreSQL cluster. What
// counts as one is Patroni's sysid_valid in patroni/ha.py.
func (k Initialize) Born() bool {
	_, err := strconv.ParseUint(k.Value, 10, 64)
	return err == nil && len(k.Value) >= 10
}

func (k Initialize) String() string {
	switch {
	case !k.There:
		return "no /initialize in the DCS"
	case k.Value == "":
		return "an empty /initialize in the DCS"
	default:
		return "/initialize is " + k.Value
	}
}

// patroniPath is the path of one of Patroni's keys.
func (c Client) patroniPath(key string) string { return node.PatroniNamespace + c.scope + "/" + key }

func (c Client) initializePath() string { return c.patroniPath("initialize") }

// Runs tells whether the Patroni of a node renews its key, or has done so within ttl.
func (c Client) Runs(ctx context.Context, node string) (bool, error) {
	_, there, err := c.get(ctx, c.patroniPath("members/"+node))
	return there, err
}

// Initialize reads the key.
func (c Client) Initialize(ctx context.Context) (Initialize, error) {
	value, there, err := c.get(ctx, c.initializePath())
	return Initialize{there, value}, err
}

func (c Client) get(ctx context.Context, key string) (value string, there bool, err error) {
	err = c.ask(ctx, func(ctx context.Context) error {
		response, err := c.etcd.Get(ctx, key)
		if err == nil && len(response.Kvs) > 0 {
			value, there = string(response.Kvs[0].Value), true
		}
		return err
	})
	if err != nil {
		return "", false, fmt.Errorf("read %s from etcd: %w", key, err)
	}
	return value, there, nil
}

// Forget deletes /initialize if it still is what it was.
func (c Client) Forget(ctx context.Context, was Initialize) error {
	if !was.There {
		return nil
	}
	path := c.initializePath()
	deleted, err := c.change(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.Value(path), "=", was.Value)}, clientv3.OpDelete(path))
	if err != nil {
		return fmt.Errorf("delete %s from etcd: %w", path, err)
	}
	if !deleted {
		return fmt.Errorf("%s changed while the birth was being prepared: somebody else is at it", path)
	}
	return nil
}

// change does what it is given in one step, if all conditions hold.
func (c Client) change(ctx context.Context, conditions []clientv3.Cmp, do ...clientv3.Op) (done bool, err error) {
	err = c.ask(ctx, func(ctx context.Context) error {
		response, err := c.etcd.Txn(ctx).If(conditions...).Then(do...).Commit()
		done = err == nil && response.Succeeded
		return err
	})
	return done, err
}

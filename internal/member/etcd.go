package member

import (
	"context"
	"fmt"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"banyan/internal/node"
)

// dcs is the cluster's part of etcd, asked through the node's own member.
type dcs struct {
	*clientv3.Client
	initializePath string
}

func newDCS(scope string) (dcs, error) {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{node.EtcdEndpoint},
		Logger:    zap.NewNop(), // what it would say comes back as errors
	})
	if err != nil {
		return dcs{}, fmt.Errorf("etcd at %s: %w", node.EtcdEndpoint, err)
	}
	return dcs{client, node.PatroniNamespace + scope + "/initialize"}, nil
}

// answerTimeout is for one answer of etcd.
const answerTimeout = 5 * time.Second

// healthy asks as `etcdctl endpoint health` does: a read that needs a quorum.
func (d dcs) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	_, err := d.Get(ctx, "health")
	return err
}

// initializeKey is Patroni's key /initialize as it is in the DCS.
type initializeKey struct {
	there bool
	value string
}

// born tells whether the key holds the system identifier of a PostgreSQL
// cluster. What counts as one is Patroni's sysid_valid in patroni/ha.py.
func (k initializeKey) born() bool {
	_, err := strconv.ParseUint(k.value, 10, 64)
	return err == nil && len(k.value) >= 10
}

func (k initializeKey) String() string {
	switch {
	case !k.there:
		return "no /initialize in the DCS"
	case k.value == "":
		return "an empty /initialize in the DCS"
	default:
		return "/initialize is " + k.value
	}
}

func (d dcs) readInitialize(ctx context.Context) (initializeKey, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	response, err := d.Get(ctx, d.initializePath)
	if err != nil {
		return initializeKey{}, fmt.Errorf("read %s from etcd: %w", d.initializePath, err)
	}
	if len(response.Kvs) == 0 {
		return initializeKey{}, nil
	}
	return initializeKey{there: true, value: string(response.Kvs[0].Value)}, nil
}

// forget deletes /initialize if it still is what it was.
func (d dcs) forget(ctx context.Context, was initializeKey) error {
	if !was.there {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	response, err := d.Txn(ctx).
		If(clientv3.Compare(clientv3.Value(d.initializePath), "=", was.value)).
		Then(clientv3.OpDelete(d.initializePath)).
		Commit()
	if err != nil {
		return fmt.Errorf("delete %s from etcd: %w", d.initializePath, err)
	}
	if !response.Succeeded {
		return fmt.Errorf("%s changed while the birth was being prepared: somebody else is at it", d.initializePath)
	}
	return nil
}

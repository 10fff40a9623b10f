package dcs

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"banyan/seeds"
)

// path is where Banyan keeps what is the cluster's: below what is Patroni's, so that an
// etcd which lets its users write below one key lets this, too.
func (c Client) path(key string) string { return c.patroniPath("banyan/" + key) }

// lockSeconds is how long a lock outlives who held it and died.
const lockSeconds = 30

// Locked does something while it holds the cluster's one lock: one node at a time changes
// what all rest on. It waits for as long as ctx lets it. do is told by its context where
// the lock was lost.
func (c Client) Locked(ctx context.Context, do func(context.Context) error) (err error) {
	var session *concurrency.Session
	err = c.ask(ctx, func(context.Context) (err error) {
		session, err = concurrency.NewSession(c.etcd, concurrency.WithTTL(lockSeconds), concurrency.WithContext(ctx))
		return err
	})
	if err != nil {
		return fmt.Errorf("lock in etcd: %w", err)
	}
	defer func() {
		// Gone with its lease, if not before.
		if closing := session.Close(); err == nil && closing != nil && ctx.Err() == nil {
			err = fmt.Errorf("unlock in etcd: %w", closing)
		}
	}()
	mutex := concurrency.NewMutex(session, c.path("lock"))
	if err := mutex.Lock(ctx); err != nil {
		return fmt.Errorf("lock in etcd: %w", err)
	}
	held, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-session.Done():
			lose(errors.New("the lock in etcd was lost"))
		case <-stop:
		}
	}()
	return do(held)
}

// Recorded is what the DCS knows of a cluster's seed, nil for what it does not know.
type Recorded struct{ ID, Generation *string }

// Newer compares it with a seed. The seed of another cluster is an error. newer tells
// whether the DCS knows a later generation: then this seed has nothing to say in the cluster.
func (r Recorded) Newer(cluster seeds.Cluster) (newer bool, err error) {
	if r.ID != nil && *r.ID != string(cluster.ID) {
		return false, fmt.Errorf("the cluster %s in this DCS has the id %s, and the seed is of %s: it is another cluster of the same name", cluster.Name, *r.ID, cluster.ID)
	}
	if r.Generation == nil {
		return false, nil
	}
	generation, err := strconv.Atoi(*r.Generation)
	if err != nil {
		return false, fmt.Errorf("the generation of the seed in the DCS: %w", err)
	}
	return generation > cluster.Generation, nil
}

// recorded reads what etcd knows of the cluster's seed.
func (c Client) recorded(ctx context.Context) (r Recorded, err error) {
	for _, k := range []struct {
		key string
		to  **string
	}{{"id", &r.ID}, {"generation", &r.Generation}} {
		value, there, err := c.get(ctx, c.path(k.key))
		if err != nil {
			return r, err
		}
		if there {
			*k.to = &value
		}
	}
	return r, nil
}

// KnowsNewer compares the cluster and the generation of a seed with those that etcd knows:
// see [Recorded.Newer].
func (c Client) KnowsNewer(ctx context.Context, cluster seeds.Cluster) (bool, error) {
	r, err := c.recorded(ctx)
	if err != nil {
		return false, err
	}
	return r.Newer(cluster)
}

// Record writes cluster and generation of a seed to the DCS, unless it knows a later one.
func (c Client) Record(ctx context.Context, cluster seeds.Cluster) error {
	r, err := c.recorded(ctx)
	if err != nil {
		return err
	}
	if newer, err := r.Newer(cluster); newer || err != nil {
		return err
	}
	own := strconv.Itoa(cluster.Generation)
	unchanged := clientv3.Compare(clientv3.CreateRevision(c.path("generation")), "=", 0)
	if r.Generation != nil {
		if *r.Generation == own {
			return nil
		}
		unchanged = clientv3.Compare(clientv3.Value(c.path("generation")), "=", *r.Generation)
	}
	// Where it is another by now, another node was first, with the same one or a later one.
	_, err = c.change(ctx, []clientv3.Cmp{unchanged},
		clientv3.OpPut(c.path("id"), string(cluster.ID)),
		clientv3.OpPut(c.path("generation"), own))
	if err != nil {
		return fmt.Errorf("write the seed's generation to etcd: %w", err)
	}
	return nil
}

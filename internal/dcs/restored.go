package dcs

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"banyan/seeds"
)

// syncPut has one node alone lead at first, in synchronous mode: SyncState in
// patroni/dcs/__init__.py.
func (c Client) syncPut(candidate string) clientv3.Op {
	return clientv3.OpPut(c.patroniPath("sync"), fmt.Sprintf(`{"leader":%q,"sync_standby":null,"quorum":0}`, candidate))
}

// Adopt makes an etcd that knows nothing fit for a PostgreSQL that holds data: see
// [Client.Restored] about the candidate.
func (c Client) Adopt(ctx context.Context, systemID, candidate string) error {
	if _, err := c.change(ctx, nil, clientv3.OpPut(c.initializePath(), systemID), c.syncPut(candidate)); err != nil {
		return fmt.Errorf("tell etcd of PostgreSQL's data: %w", err)
	}
	return nil
}

// InStep are the nodes that /sync names: who led, and who had all that was acknowledged.
func (c Client) InStep(ctx context.Context) ([]string, error) {
	value, there, err := c.get(ctx, c.patroniPath("sync"))
	if !there || err != nil {
		return nil, err
	}
	return parseSync(value)
}

func parseSync(value string) ([]string, error) {
	var sync struct {
		Leader  string  `json:"leader"`
		Standby *string `json:"sync_standby"` // names with commas between them
	}
	if err := json.Unmarshal([]byte(value), &sync); err != nil {
		return nil, fmt.Errorf("the key sync of Patroni: %w", err)
	}
	names := []string{sync.Leader}
	if sync.Standby != nil {
		names = append(names, strings.Split(*sync.Standby, ",")...)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" }), nil
}

// Restored makes what was restored from a snapshot fit for Patroni, before any Patroni
// sees it. What is of another cluster than the seed's is an error.
//
// A snapshot tells who led and who was in step when it was taken, which is true no more:
//
//   - The node that /leader names would promote itself, however far behind it is: it has
//     the lock (process_healthy_cluster in patroni/ha.py). The key goes.
//   - In synchronous mode /sync says who alone may be promoted. Those of the past may
//     lack what was acknowledged since; and without the key anybody is, who comes first
//     while the others start yet. So candidate alone is in it, who is the first to lead and
//     then writes who is in step. In another mode nobody minds it, and who leads removes it.
//     With no candidate it goes.
//   - /failover would be a switchover once more. /failsafe, /status and /optime are written
//     anew by who leads.
//
// The identity of the cluster, its dynamic configuration and its history stay: /initialize,
// /config, /history. So do /members, which tell a candidate whom to ask how far they
// have come; they are gone after their ttl unless their nodes are there. What a node held
// Banyan's lock for is over.
func (c Client) Restored(ctx context.Context, cluster seeds.Cluster, candidate string) error {
	if _, err := c.KnowsNewer(ctx, cluster); err != nil {
		return err
	}
	changes := []clientv3.Op{
		clientv3.OpDelete(c.patroniPath("leader")),
		clientv3.OpDelete(c.patroniPath("failover")),
		clientv3.OpDelete(c.patroniPath("failsafe")),
		clientv3.OpDelete(c.patroniPath("status")),
		clientv3.OpDelete(c.patroniPath("optime/"), clientv3.WithPrefix()),
		clientv3.OpDelete(c.path("lock/"), clientv3.WithPrefix()),
	}
	sync := clientv3.OpDelete(c.patroniPath("sync"))
	if candidate != "" {
		sync = c.syncPut(candidate)
	}
	if _, err := c.change(ctx, nil, append(changes, sync)...); err != nil {
		return fmt.Errorf("take the leader of the past out of etcd: %w", err)
	}
	return nil
}

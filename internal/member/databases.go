package member

import (
	"context"
	"errors"
	"fmt"
	"time"

	"banyan/internal/database"
	"banyan/internal/facts"
	"banyan/seeds"
)

// makeDatabases is for the leader: what it makes is in the write-ahead log of all others,
// also of a standby cluster.
func (j *joining) makeDatabases(ctx context.Context, say func(string)) error {
	leads, err := j.leads(ctx)
	if err != nil || !leads {
		return err
	}
	dir, err := postgresqlDir(j.self, j.facts)
	if err != nil {
		return err
	}
	return database.Apply(ctx, j.seed, dir.data, dir.version, say)
}

// leads asks Patroni whether this node leads a cluster that follows no other.
func (j *joining) leads(ctx context.Context) (bool, error) {
	client, err := j.patroni()
	if err != nil {
		return false, err
	}
	s, err := client.Status(ctx)
	return err == nil && s.Leads() && s.Role != "standby_leader", err
}

// awaitInterval is how often a member looks whether the leader has made what it waits for.
const awaitInterval = 10 * time.Second

// AwaitDatabases waits, on a node that has joined, until the cluster has the roles and
// databases of s, or of a later seed. Where this node becomes the leader before, it makes
// them: who led when each node came by its seed may never have had it then.
func AwaitDatabases(ctx context.Context, s seeds.Seed, self seeds.Node, f facts.Facts, say func(string)) error {
	if !self.Runs(seeds.ServicePostgreSQL) || self.Patroni.StandbyCluster.Follows() {
		return nil
	}
	dir, err := postgresqlDir(self, f)
	if err != nil {
		return err
	}
	j := joining{seed: s, facts: f, self: self}
	return pollEvery(ctx, awaitInterval, say, func() (bool, string, error) {
		made, err := database.Made(ctx, s, dir.data, dir.version)
		if made {
			return true, "", nil
		}
		leads, statusErr := j.leads(ctx)
		if err := errors.Join(err, statusErr); err != nil { // it is restarted, or catches up
			return false, fmt.Sprintf("whether the roles and databases of the seed were made is not known: %v", err), nil
		}
		if leads {
			return true, "", database.Apply(ctx, s, dir.data, dir.version, say)
		}
		return false, "waits for the leader to make the roles and databases of the seed", nil
	})
}

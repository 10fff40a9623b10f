package verify

import (
	"errors"
	"testing"

	"banyan/internal/check"
	"banyan/internal/peer"
)

func TestSeed(t *testing.T) {
	expect(t, map[string]change{
		"the cluster knows a later one": {
			what: func(f *Facts) { f.Etcd.Newer, f.Peers[0].Answer.Generation = true, 4 },
			name: "seed", state: check.Warn, found: "generation 3, and the cluster knows a later one", advice: "give this node its new seed",
		},
		"another node has a later one": {
			node: "pgsql-b1",
			what: func(f *Facts) { f.Peers[1].Answer.Generation = 4 },
			name: "seed", state: check.Warn, found: "generation 3, and pgsql-n2 has 4", advice: "give this node its new seed",
		},
		"another node has an earlier one": {
			what: func(f *Facts) { f.Peers[0].Answer.Generation = 2 },
			name: "seed", state: check.Warn, found: "pgsql-n2 has generation 2, and this node 3", advice: "give pgsql-n2 its new seed",
		},
		"a silent node has none": {
			what: func(f *Facts) { f.Peers[0].Answer.Generation, f.Peers[0].Err = 0, errors.New("refused") },
			name: "seed", state: check.OK, found: "generation 3, and no newer one is known",
		},
		"another cluster": {
			what: func(f *Facts) { f.Etcd.SeedErr = errors.New("it is another cluster of the same name") },
			name: "seed", state: check.Fail, found: "another cluster", advice: "etcdctl",
		},
		"no quorum is told once": {
			what: func(f *Facts) { f.Etcd.SeedErr, f.Etcd.MembersErr = errors.New("deadline"), errors.New("deadline") },
			name: "seed", state: check.OK, found: "generation 3",
		},
		"staged": {
			what: func(f *Facts) {
				f.Staged = Staged{Found: "a newer seed (generation 4) was found, and kept", HowTo: "mv staged seed"}
			},
			name: "seed", state: check.Warn, found: "a newer seed (generation 4) was found, and kept", advice: "mv staged seed",
		},
	})
}

func TestPeers(t *testing.T) {
	expect(t, map[string]change{
		"silent": {
			what: func(f *Facts) { f.Peers[1].Err = errors.New("connection refused") },
			name: "nodes", state: check.Fail, found: "pgsql-n3 (172.16.32.13) does not answer: connection refused", advice: "on pgsql-n3: firstboot status",
		},
		"lost its data": {
			what: func(f *Facts) { f.Peers[1].Answer.PostgreSQL = peer.Lost },
			name: "nodes", state: check.Fail, found: "pgsql-n3 has lost its data of PostgreSQL", advice: "on pgsql-n3: journalctl",
		},
		"lost its vote": {
			what: func(f *Facts) { f.Peers[2].Answer.Etcd = peer.Lost },
			name: "nodes", state: check.Fail, found: "pgsql-w1 has lost its data of etcd", advice: "on pgsql-w1: journalctl",
		},
		"lost its log": {
			what: func(f *Facts) { f.Peers[2].Answer.Raft = peer.Lost },
			name: "nodes", state: check.Fail, found: "pgsql-w1 has lost its log of raft", advice: "on pgsql-w1: journalctl",
		},
	})
}

package verify

import (
	"errors"
	"slices"
	"testing"

	"banyan/internal/check"
	"banyan/internal/golden"
	"banyan/internal/patroni"
	"banyan/seeds"
)

func TestCluster(t *testing.T) {
	cluster := func(change func(*Cluster)) func(*Facts) { return func(f *Facts) { change(&f.Cluster) } }
	member := func(i int, change func(*patroni.Member)) func(*Facts) {
		return func(f *Facts) { change(&f.Cluster.All.Members[i]) }
	}
	refused := errors.New("connection refused")
	asynchronous := func(c *Cluster, names ...string) {
		for i, m := range c.All.Members {
			if !m.Leads() && (len(names) == 0 || slices.Contains(names, m.Name)) {
				c.All.Members[i].Role = "replica"
			}
		}
	}
	tagged := func(f *Facts, name string, tags seeds.Tags) {
		for i, n := range f.Seed.Nodes {
			if n.Name == name {
				f.Seed.Nodes[i].Patroni.Tags = tags
			}
		}
	}
	nobodyMay := func(f *Facts) {
		tagged(f, "pgsql-n2", seeds.Tags{NoSync: true})
		tagged(f, "pgsql-n3", seeds.Tags{ReplicateFrom: "pgsql-n2"})
		asynchronous(&f.Cluster)
	}
	older := member(2, func(m *patroni.Member) { m.State = "running" }) // as Patroni before 3.0.4 says it

	expect(t, map[string]change{
		"silent": {
			what: cluster(func(c *Cluster) { c.Nodes[1].Err = refused }),
			name: "Patroni", state: check.Fail, found: "pgsql-n2 does not answer: connection refused", advice: "on pgsql-n2: systemctl status patroni",
		},
		"stopped": {
			what: member(2, func(m *patroni.Member) { m.State = "stopped" }),
			name: "Patroni", state: check.Fail, found: "pgsql-n3 is stopped", advice: "on pgsql-n3: ",
		},
		"gone": {
			what: cluster(func(c *Cluster) { c.All.Members = c.All.Members[:2] }),
			name: "Patroni", state: check.Fail, found: "pgsql-n3 is no member", advice: "on pgsql-n3: ",
		},
		"receives nothing": {what: older, name: "Patroni", state: check.Fail, found: "pgsql-n3 runs, and receives no WAL", advice: "on pgsql-n3: "},
		"streams, as its sender says": {
			what: func(f *Facts) {
				older(f)
				f.Cluster.Nodes[1].Status.Replication = []patroni.Stream{{Name: "pgsql-n3", State: "streaming"}}
			},
			name: "Patroni", state: check.OK, found: "3 members",
		},
		"a stranger": {
			what: cluster(func(c *Cluster) {
				c.All.Members = append(c.All.Members, patroni.Member{Name: "pgsql-n9", Role: "replica", State: "streaming", Timeline: 2})
			}),
			name: "Patroni", state: check.Warn, found: "pgsql-n9 is a member, and the seed does not know it", advice: "firstboot leave",
		},
		"nobody": {
			what: cluster(func(c *Cluster) { c.All, c.Err = patroni.Cluster{}, refused }),
			name: "Patroni", state: check.Fail, found: "no Patroni tells of the cluster: connection refused", advice: "patronictl list",
		},
		"nobody tells who leads": {
			what: cluster(func(c *Cluster) { c.All, c.Err = patroni.Cluster{}, refused }),
			name: "leader", state: check.Skip, found: "no Patroni tells",
		},

		"no leader": {
			what: member(0, func(m *patroni.Member) { m.Role = "replica" }),
			name: "leader", state: check.Fail, found: "nobody leads", advice: "patronictl list",
		},
		"no leader, from a balancer": {
			node: "pgsql-b1",
			what: member(0, func(m *patroni.Member) { m.Role = "replica" }),
			name: "leader", state: check.Fail, found: "nobody leads", advice: "on pgsql-n1: patronictl list",
		},
		"a leader that was demoted": { // as Patroni does it where the DCS is gone: what is in it stays
			what: cluster(func(c *Cluster) { c.Nodes[0].Status.Role, c.Nodes[0].Status.Leader = "replica", false }),
			name: "leader", state: check.Fail, found: "pgsql-n1 has the lock, and does not lead: it is running, role replica", advice: "journalctl",
		},
		"a silent leader": {
			what: cluster(func(c *Cluster) { c.Nodes[0].Err = refused }),
			name: "leader", state: check.Fail, found: "pgsql-n1 has the lock, and does not answer", advice: "journalctl",
		},
		"two primaries": {
			what: cluster(func(c *Cluster) { c.Nodes[2].Status.Role = "master" }),
			name: "leader", state: check.Fail, found: "pgsql-n3 is a primary, and has not the lock", advice: "on pgsql-n3: ",
		},
		"two that say they lead": {
			what: cluster(func(c *Cluster) { c.Nodes[1].Status = c.Nodes[0].Status }),
			name: "leader", state: check.Fail, found: "pgsql-n2 is a primary, and has not the lock", advice: "on pgsql-n2: ",
		},
		"a standby leader": {
			what: cluster(func(c *Cluster) { c.Nodes[0].Status.Role, c.All.Members[0].Role = "standby_leader", "standby_leader" }),
			name: "leader", state: check.OK, found: "pgsql-n1",
		},

		"a fork": {
			what: member(1, func(m *patroni.Member) { m.Timeline = 1 }),
			name: "timeline", state: check.Warn, found: "pgsql-n2 is on timeline 1 yet, and the leader on 2", advice: "patronictl list; on pgsql-n2: journalctl -b -u patroni",
		},
		"a fork that does not stream": {
			what: member(2, func(m *patroni.Member) { m.State, m.Timeline = "running", 1 }),
			name: "timeline", state: check.Fail, found: "pgsql-n3 is on timeline 1, the leader on 2, and it receives no WAL", advice: "patronictl list; on pgsql-n3: journalctl -b -u patroni",
		},
		"a fork that begins": {
			what: member(2, func(m *patroni.Member) { m.State, m.Timeline = "starting", 1 }),
			name: "timeline", state: check.Fail, found: "it receives no WAL", advice: "patronictl list",
		},
		"a fork that streams, as its sender says": {
			what: func(f *Facts) {
				older(f)
				f.Cluster.All.Members[2].Timeline = 1
				f.Cluster.Nodes[0].Status.Replication = []patroni.Stream{{Name: "pgsql-n3", State: "streaming"}}
			},
			name: "timeline", state: check.Warn, found: "pgsql-n3 is on timeline 1 yet", advice: "patronictl list",
		},
		"an unknown timeline": {what: member(1, func(m *patroni.Member) { m.Timeline = 0 }), name: "timeline", state: check.OK, found: "2, on all"},

		"as far as may be": {what: member(1, func(m *patroni.Member) { m.Lag.Bytes = 1 << 20 }), name: "replication lag", state: check.OK, found: "1 MB at most"},
		"far behind": {
			what: member(1, func(m *patroni.Member) { m.Lag.Bytes = 7<<20 + 1 }),
			name: "replication lag", state: check.Warn, found: "pgsql-n2 is 7 MB behind", advice: "patronictl list",
		},
		"a wide limit": {
			what: func(f *Facts) {
				limit := int64(64 << 20)
				f.Cluster.Config.MaximumLagOnFailover = &limit
				f.Cluster.All.Members[1].Lag.Bytes = 7 << 20
			},
			name: "replication lag", state: check.OK, found: "7 MB at most, of the 64",
		},
		"unknown": {
			what: member(1, func(m *patroni.Member) { m.Lag = &patroni.Lag{Unknown: true} }),
			name: "replication lag", state: check.Warn, found: "that of pgsql-n2 is not known", advice: "on pgsql-n2: ",
		},

		"unknown, since it is stopped": {
			what: member(1, func(m *patroni.Member) { m.State, m.Lag = "stopped", &patroni.Lag{Unknown: true} }),
			name: "replication lag", state: check.OK, found: "0 MB at most",
		},

		"both": {what: func(*Facts) {}, name: "synchronous standby", state: check.OK, found: "pgsql-n2, pgsql-n3"},
		"one of two": {
			what: member(1, func(m *patroni.Member) { m.Role = "replica" }),
			name: "synchronous standby", state: check.Warn, found: "pgsql-n3 alone, of 2", advice: "patronictl list",
		},
		"none": {what: cluster(func(c *Cluster) { asynchronous(c) }), name: "synchronous standby", state: check.Warn, found: "a failover may lose", advice: "patronictl list"},
		"none, strictly": {
			what: cluster(func(c *Cluster) { asynchronous(c); c.Config.SynchronousModeStrict = true }),
			name: "synchronous standby", state: check.Fail, found: "nothing can be written", advice: "patronictl list",
		},
		"by quorum": {
			what: cluster(func(c *Cluster) {
				c.Config.SynchronousMode = "quorum"
				c.All.Members[1].Role, c.All.Members[2].Role = "quorum_standby", "quorum_standby"
			}),
			name: "synchronous standby", state: check.OK, found: "pgsql-n2, pgsql-n3",
		},
		"not wanted": {
			what: cluster(func(c *Cluster) { asynchronous(c); c.Config = patroni.Config{} }),
			name: "synchronous standby", state: check.OK, found: "synchronous_mode is off",
		},
		"one that may not be": {
			what: func(f *Facts) { tagged(f, "pgsql-n2", seeds.Tags{NoSync: true}); asynchronous(&f.Cluster, "pgsql-n2") },
			name: "synchronous standby", state: check.OK, found: "pgsql-n3",
		},
		"one that cascades": {
			what: func(f *Facts) {
				tagged(f, "pgsql-n3", seeds.Tags{ReplicateFrom: "pgsql-n2"})
				asynchronous(&f.Cluster, "pgsql-n3")
			},
			name: "synchronous standby", state: check.OK, found: "pgsql-n2",
		},
		"one that replicates from the leader by name": {
			what: func(f *Facts) {
				tagged(f, "pgsql-n3", seeds.Tags{ReplicateFrom: "pgsql-n1"})
				asynchronous(&f.Cluster, "pgsql-n3")
			},
			name: "synchronous standby", state: check.Warn, found: "pgsql-n2 alone, of 2", advice: "patronictl list",
		},
		"nobody may be": {what: nobodyMay, name: "synchronous standby", state: check.OK, found: "there is nobody to wait for"},
		"nobody may be, strictly": {
			what: func(f *Facts) { nobodyMay(f); f.Cluster.Config.SynchronousModeStrict = true },
			name: "synchronous standby", state: check.Fail, found: "nothing can be written", advice: "patronictl list",
		},
		"a standby cluster": {
			what: func(f *Facts) { asynchronous(&f.Cluster); follow(f) },
			name: "synchronous standby", state: check.OK, found: "none is wanted in a standby cluster",
		},

		"paused":  {what: cluster(func(c *Cluster) { c.All.Pause = true }), name: "maintenance mode", state: check.Warn, found: "nothing fails over", advice: "patronictl resume"},
		"restart": {what: member(1, func(m *patroni.Member) { m.PendingRestart = true }), name: "pending restart", state: check.Warn, found: "pgsql-n2 waits for one", advice: "patronictl restart --pending pgsql-cl"},
	})
}

// follow makes a cluster a standby of another.
func follow(f *Facts) {
	f.Cluster.Config.StandbyCluster = map[string]any{"host": "192.0.2.1", "port": 5432.0}
	f.Cluster.Nodes[0].Status.Role, f.Cluster.All.Members[0].Role = "standby_leader", "standby_leader"
	f.Cluster.All.Members[0].State = "streaming"
	if f.ConnectionPoint != nil {
		f.ConnectionPoint.Held = nil
	}
}

// In a sound standby cluster nobody takes writes, no commit waits, and no watchdog is held.
func TestStandbyCluster(t *testing.T) {
	f := sound(t, "pgsql-n1")
	follow(&f)
	f.Machine.Watchdog.Holder, f.Machine.Watchdog.State = "", "inactive"
	for i := range f.Cluster.All.Members[1:] {
		f.Cluster.All.Members[i+1].Role = "replica"
	}
	for i, l := range f.HAProxy.Lines {
		switch l.Server {
		case "pgsql-n1":
			f.HAProxy.Lines[i].Status = "DOWN"
		case "pgsql-n2", "pgsql-n3":
			f.HAProxy.Lines[i].Status = map[string]string{"primary": "DOWN", "replicas": "UP", "replicas_sync": "DOWN", "replicas_async": "UP"}[l.Proxy]
		}
	}
	r := Judge(f)
	if r.State != check.OK {
		t.Errorf("exit code %d\n%s", r.ExitCode(), r)
	}
	golden.Check(t, "testdata/standby-cluster.golden", r.String())
}

// A node alone is sound, though synchronous_mode is on unless a seed says otherwise.
func TestAlone(t *testing.T) {
	const one = `version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: pgsql-n1, address: 172.16.32.11/24, services: [postgresql, etcd]}
`
	f := soundOf(t, one, "pgsql-n1")
	if f.Seed.Patroni.SynchronousMode != "true" {
		t.Fatalf("synchronous_mode is %s", f.Seed.Patroni.SynchronousMode)
	}
	f.Cluster.Nodes, f.Cluster.All.Members = f.Cluster.Nodes[:1], f.Cluster.All.Members[:1]
	f.Etcd.Members, f.Etcd.Endpoints = f.Etcd.Members[:1], f.Etcd.Endpoints[:1]
	r := Judge(f)
	if c := find(t, r, "synchronous standby"); r.ExitCode() != 0 || c.Found != "there is nobody to wait for" {
		t.Errorf("exit code %d\n%s", r.ExitCode(), r)
	}
}

// No more standbys can be wanted than there are nodes.
func TestSynchronousOfTwo(t *testing.T) {
	const two = `version: banyan/v1
cluster: {name: pgsql-cl}
nodes:
  - {name: pgsql-n1, address: 172.16.32.11/24, services: [postgresql, etcd]}
  - {name: pgsql-n2, address: 172.16.32.12/24, services: [postgresql, etcd]}
  - {name: pgsql-w1, address: 172.16.32.14/24, services: [witness]}
`
	f := soundOf(t, two, "pgsql-n1")
	f.Cluster.Nodes = f.Cluster.Nodes[:2]
	f.Cluster.All.Members = f.Cluster.All.Members[:2]
	if c := find(t, Judge(f), "synchronous standby"); c.State != check.OK || c.Found != "pgsql-n2" {
		t.Errorf("two nodes: %+v", c)
	}
	f.Cluster.All.Members = f.Cluster.All.Members[:1]
	if c := find(t, Judge(f), "synchronous standby"); c.State != check.Warn {
		t.Errorf("two nodes, of which one is gone: %+v", c)
	}
}

// A node that has no access to the DCS judges it by what Patroni can do with it.
func TestDCS(t *testing.T) {
	expect(t, map[string]change{
		"a balancer": {node: "pgsql-b1", what: func(*Facts) {}, name: "DCS", state: check.OK, found: "a leader keeps its lock in it (etcd)"},
		"a leader was demoted": {
			node: "pgsql-b1",
			what: func(f *Facts) { f.Cluster.Nodes[0].Status.Leader = false },
			name: "DCS", state: check.Fail, found: "nobody keeps the leader's lock in it", advice: "on pgsql-n1: patronictl list",
		},
		"a raft without a leader": {
			node: "pgsql-b1",
			what: func(f *Facts) { f.RaftErr = errors.New("not done after 30s") },
			name: "DCS", state: check.Fail, found: "no leader of the raft answers: not done after 30s", advice: "journalctl -b -u banyan-raft.service",
		},
	})
}

func TestHAProxy(t *testing.T) {
	server := func(proxy, name, status, check string) func(*Facts) {
		return func(f *Facts) {
			i := slices.IndexFunc(f.HAProxy.Lines, func(l HAProxyLine) bool { return l.Proxy == proxy && l.Server == name })
			f.HAProxy.Lines[i].Status, f.HAProxy.Lines[i].Check = status, check
		}
	}
	role := func(i int, role string) func(*Facts) { return func(f *Facts) { f.Cluster.All.Members[i].Role = role } }
	expect(t, map[string]change{
		"sound": {what: func(*Facts) {}, name: "HAProxy", state: check.OK, found: "the port of the primary leads to pgsql-n1, that of the replicas to pgsql-n2, pgsql-n3"},
		"silent": {
			what: func(f *Facts) { f.HAProxy = &HAProxy{Err: errors.New("no such file or directory")} },
			name: "HAProxy", state: check.Fail, found: "it does not answer: no such file", advice: "systemctl status haproxy",
		},
		"nobody leads": {
			what: server("primary", "pgsql-n1", "DOWN", "L7STS"),
			name: "HAProxy", state: check.Fail, found: "the port of the primary leads to nobody, and the leader is pgsql-n1", advice: "journalctl -b -u haproxy",
		},
		"two lead": {
			what: server("primary", "pgsql-n2", "UP", "L7OK"),
			name: "HAProxy", state: check.Fail, found: "and the leader is pgsql-n1", advice: "journalctl",
		},
		"a replica is missing": {
			what: server("replicas", "pgsql-n3", "DOWN", "L7STS"),
			name: "HAProxy", state: check.Warn, found: "the port of the replicas does not lead to pgsql-n3", advice: "journalctl",
		},
		"a replica comes": {what: server("replicas", "pgsql-n3", "DOWN 1/2", "L7OK"), name: "HAProxy", state: check.OK, found: "that of the replicas to pgsql-n2"},
		"a replica too many": {
			what: server("replicas", "pgsql-n1", "UP", "L7OK"),
			name: "HAProxy", state: check.Warn, found: "the port of the replicas leads to pgsql-n1, and should not", advice: "journalctl",
		},
		"one that has not been asked": {what: server("replicas", "pgsql-n1", "UP", "INI"), name: "HAProxy", state: check.OK, found: "leads to pgsql-n1"},
		"a synchronous standby is missing": {
			what: server("replicas_sync", "pgsql-n3", "DOWN", "L7STS"),
			name: "HAProxy", state: check.Warn, found: "the port of the synchronous standbys does not lead to pgsql-n3", advice: "journalctl",
		},
		"a synchronous standby among the others": {
			what: server("replicas_async", "pgsql-n3", "UP", "L7OK"),
			name: "HAProxy", state: check.Warn, found: "the port of the asynchronous replicas leads to pgsql-n3, and should not", advice: "journalctl",
		},
		"no synchronous one any more": {
			what: role(2, "replica"),
			name: "HAProxy", state: check.Warn, advice: "journalctl",
			found: "the port of the synchronous standbys leads to pgsql-n3, and should not; the port of the asynchronous replicas does not lead to pgsql-n3",
		},
		"by quorum": {what: role(2, "quorum_standby"), name: "HAProxy", state: check.OK, found: "leads to pgsql-n1"},
		"a member that does not work is told of elsewhere": {
			what: func(f *Facts) { f.Cluster.All.Members[2].State = "stopped" }, name: "HAProxy", state: check.OK, found: "leads to pgsql-n1",
		},
		"a primary in a standby cluster": {
			what: follow, name: "HAProxy", state: check.Fail, found: "leads to pgsql-n1, and nobody takes writes in a standby cluster", advice: "journalctl",
		},
		"a hidden replica that is shown": {
			what: func(f *Facts) { f.Cluster.All.Members[1].Tags = map[string]any{"noloadbalance": true} },
			name: "HAProxy", state: check.Warn, found: "the port of the replicas leads to pgsql-n2, and should not", advice: "journalctl",
		},
		"a hidden replica": {
			what: func(f *Facts) {
				server("replicas", "pgsql-n3", "DOWN", "L7STS")(f)
				server("replicas_sync", "pgsql-n3", "DOWN", "L7STS")(f)
				f.Cluster.All.Members[2].Tags = map[string]any{"noloadbalance": true}
			},
			name: "HAProxy", state: check.OK, found: "that of the replicas to pgsql-n2",
		},
		"a certificate that it does not take": {
			what: server("primary", "pgsql-n2", "DOWN", "* L6RSP"),
			name: "HAProxy", state: check.Fail, found: "pgsql-n2 cannot be asked for primary: * L6RSP", advice: "journalctl",
		},
		"who is silent to all": {
			what: func(f *Facts) {
				for _, proxy := range []string{"primary", "replicas", "replicas_sync", "replicas_async"} {
					server(proxy, "pgsql-n2", "DOWN", "L4CON")(f)
				}
				f.Cluster.Nodes[1].Err = errors.New("connection refused")
			},
			name: "HAProxy", state: check.OK, found: "leads to pgsql-n1",
		},
		"a closed port": {
			what: server("replicas", "FRONTEND", "STOP", ""),
			name: "HAProxy", state: check.Fail, found: "the port of replicas is STOP", advice: "journalctl",
		},
		"nobody tells who leads": {
			what: func(f *Facts) { f.Cluster.All, f.Cluster.Err = patroni.Cluster{}, errors.New("refused") },
			name: "HAProxy", state: check.OK, found: "leads to pgsql-n1",
		},
	})
}

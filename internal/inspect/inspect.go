// Package inspect looks at a node, and asks the others by their APIs: it gathers what
// package verify judges. It changes nothing. The node's keys are root's, and so is this.
package inspect

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"banyan/internal/converge"
	"banyan/internal/database"
	"banyan/internal/dcs"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/internal/patroni"
	"banyan/internal/peer"
	"banyan/internal/pki"
	"banyan/internal/raft"
	"banyan/internal/status"
	"banyan/internal/verify"
	"banyan/seeds"
)

// subject is the node that is looked at.
type subject struct {
	seed    *seeds.Seed
	self    seeds.Node
	facts   facts.Facts
	desired converge.State
}

// Look looks at this node, self of s, that desired was computed for. What cannot be found
// out is part of what it returns.
func Look(ctx context.Context, s *seeds.Seed, self seeds.Node, f facts.Facts, desired converge.State) verify.Facts {
	n := subject{s, self, f, desired}
	found := verify.Facts{Seed: s, Self: self, Now: time.Now(), Container: container("/run/systemd/container")}
	var looking sync.WaitGroup
	looking.Go(func() { found.Node = n.node(ctx) })
	looking.Go(func() { found.Machine = n.machine(ctx) })
	looking.Go(func() { found.Certificates = n.certificates(ctx) })
	looking.Go(func() { found.Peers = n.peers(ctx) })
	looking.Go(func() { found.Cluster = n.cluster(ctx) })
	if self.Runs(seeds.ServicePostgreSQL) {
		wanted, err := node.Dynamic(*s, self, f)
		found.Dynamic = &verify.Dynamic{Wanted: wanted, Err: err}
		looking.Go(func() { found.Databases = n.databases(ctx) })
	}
	looking.Go(func() { found.Etcd = n.etcd(ctx) })
	looking.Go(func() { found.HAProxy = n.haproxy(ctx) })
	looking.Go(func() { found.ConnectionPoint = n.connectionPoint(ctx) })
	if s.IsRaftMember(self) {
		looking.Go(func() { found.RaftErr = raft.NewClient(s.Cluster.Name).Healthy(ctx) })
	}
	looking.Wait()
	return found
}

func (n subject) databases(ctx context.Context) *verify.Databases {
	version, err := node.PostgreSQLVersion(n.self, n.facts)
	if err != nil {
		return &verify.Databases{Err: err}
	}
	made, err := database.Made(ctx, *n.seed, node.DataDir(n.self, version), version)
	return &verify.Databases{Made: made, Err: err}
}

// container is the kind of container that this is, in systemd's words, or "":
// https://systemd.io/CONTAINER_INTERFACE/
func container(file string) string {
	kind, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(kind))
}

func (n subject) node(ctx context.Context) verify.Node {
	found := verify.Node{Left: n.facts.Left, Born: n.facts.Born}
	found.Report, found.ReportErr = status.Read(status.Path)
	found.Drift, _ = converge.Diff(ctx, converge.Machine{Root: "/", Live: true}, n.desired) // its steps have the error
	found.Failed, found.Inactive, found.UnitsErr = n.units(ctx)
	return found
}

// units are those that have failed, and those of the node's services that do not run.
func (n subject) units(ctx context.Context) (failed, inactive []string, err error) {
	systemd, err := dbus.NewSystemdConnectionContext(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer systemd.Close()
	bad, err := systemd.ListUnitsFilteredContext(ctx, []string{"failed"})
	if err != nil {
		return nil, nil, err
	}
	for _, u := range bad {
		failed = append(failed, u.Name)
	}
	if n.facts.Left { // nothing of it is to run
		return failed, nil, nil
	}
	own, err := systemd.ListUnitsByNamesContext(ctx, node.Services(*n.seed, n.self))
	if err != nil {
		return nil, nil, err
	}
	for _, u := range own {
		if u.ActiveState != "active" && u.ActiveState != "reloading" {
			inactive = append(inactive, u.Name)
		}
	}
	return failed, inactive, nil
}

// peers asks the other nodes that hold something.
func (n subject) peers(ctx context.Context) []peer.Result {
	var others []seeds.Node
	for _, other := range n.seed.Nodes {
		if other.Name != n.self.Name && n.seed.HoldsState(other) {
			others = append(others, other)
		}
	}
	config, err := pki.TLS(string(n.seed.PKI.CA), string(n.self.PKI.Certificate), n.self.PKI.Key.Reveal())
	if err != nil {
		return failed(others, err)
	}
	return peer.NewClient(n.seed.Cluster, config).Ask(ctx, others)
}

func failed(nodes []seeds.Node, err error) (results []peer.Result) {
	for _, other := range nodes {
		results = append(results, peer.Result{Node: other, Err: err})
	}
	return results
}

// cluster asks every Patroni for itself, and for all. What they tell of all they have from
// the DCS, and so it is the same: the first who knows it will do.
func (n subject) cluster(ctx context.Context) verify.Cluster {
	var found verify.Cluster
	config, err := pki.TLS(string(n.seed.PKI.CA), "", "")
	servers := n.seed.Members(seeds.ServicePostgreSQL)
	if err != nil {
		found.Err = err
		for _, server := range servers {
			found.Nodes = append(found.Nodes, verify.PatroniNode{Node: server.Name, Err: err})
		}
		return found
	}
	answers := make([]verify.Cluster, len(servers))
	var asking sync.WaitGroup
	for i, server := range servers {
		asking.Go(func() { answers[i] = askPatroni(ctx, server, config) })
	}
	asking.Wait()
	var errs []error
	known := false
	for _, a := range answers {
		found.Nodes = append(found.Nodes, a.Nodes...)
		switch {
		case known || a.Nodes[0].Err != nil:
		case a.Err != nil:
			errs = append(errs, a.Err)
		default:
			found.All, found.Config, known = a.All, a.Config, true
		}
	}
	if !known {
		found.Err = cmp.Or(errors.Join(errs...), errors.New("nobody answers"))
	}
	return found
}

// askPatroni asks the Patroni of one node.
func askPatroni(ctx context.Context, server seeds.Node, config *tls.Config) verify.Cluster {
	client := patroni.At(server.Address.Addr().String(), server.Patroni.RESTAPI.Port, config)
	own := verify.PatroniNode{Node: server.Name}
	own.Status, own.Err = client.Status(ctx)
	if at := (*url.Error)(nil); errors.As(own.Err, &at) {
		own.Err = at.Err // where it was asked goes without saying
	}
	answer := verify.Cluster{Nodes: []verify.PatroniNode{own}}
	if own.Err != nil {
		return answer
	}
	if answer.All, answer.Err = client.Cluster(ctx); answer.Err == nil {
		answer.Config, answer.Err = client.Config(ctx)
	}
	return answer
}

// etcd asks the etcd that the cluster uses, if this node is its client.
func (n subject) etcd(ctx context.Context) *verify.Etcd {
	urls := node.EtcdEndpoints(*n.seed, n.self)
	if len(urls) == 0 {
		return nil
	}
	client, err := dcs.Connect(*n.seed, n.self)
	if err != nil {
		return &verify.Etcd{MembersErr: err, AlarmsErr: err, SeedErr: err}
	}
	defer client.Close()
	var found verify.Etcd
	var asking sync.WaitGroup
	asking.Go(func() { found.Endpoints = client.Endpoints(ctx, urls) })
	asking.Go(func() { found.Members, found.MembersErr = client.Members(ctx) })
	asking.Go(func() { found.Alarms, found.AlarmsErr = client.Alarms(ctx) })
	asking.Go(func() { found.Newer, found.SeedErr = client.KnowsNewer(ctx, n.seed.Cluster) })
	asking.Wait()
	return &found
}

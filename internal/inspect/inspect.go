// Package inspect looks at a node, and asks the others by their APIs: it gathers what
// package verify judges. It changes nothing. The node's keys are root's, and so is this.
package inspect

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"banyan/internal/converge"
	"banyan/internal/dcs"
	"banyan/internal/facts"
	"banyan/internal/node"
	"banyan/internal/patroni"
	"banyan/internal/peer"
	"banyan/internal/pki"
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
	looking.Go(func() { found.Etcd = n.etcd(ctx) })
	looking.Go(func() { found.HAProxy = n.haproxy(ctx) })
	looking.Wait()
	return found
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

// cluster asks every Patroni for itself, and the first that answers for all. What they
// tell of all they have from the DCS, and so it is the same.
func (n subject) cluster(ctx context.Context) verify.Cluster {
	var found verify.Cluster
	config, err := pki.TLS(string(n.seed.PKI.CA), "", "")
	servers := n.seed.Members(seeds.ServicePostgreSQL)
	found.Nodes = make([]verify.PatroniNode, len(servers))
	type answer struct {
		all    patroni.Cluster
		config patroni.Config
		err    error
	}
	answers := make([]answer, len(servers))
	var asking sync.WaitGroup
	for i, server := range servers {
		found.Nodes[i] = verify.PatroniNode{Node: server.Name, Err: err}
		answers[i].err = err
		if err != nil {
			continue
		}
		asking.Go(func() {
			client := patroni.At(server.Address.Addr().String(), server.Patroni.RESTAPI.Port, config)
			if found.Nodes[i].Status, found.Nodes[i].Err = client.Status(ctx); found.Nodes[i].Err != nil {
				answers[i].err = found.Nodes[i].Err
				if at := (*url.Error)(nil); errors.As(answers[i].err, &at) {
					found.Nodes[i].Err = at.Err // its place is told by the node's name
				}
				return
			}
			if answers[i].all, answers[i].err = client.Cluster(ctx); answers[i].err == nil {
				answers[i].config, answers[i].err = client.Config(ctx)
			}
		})
	}
	asking.Wait()
	var errs []error
	for _, a := range answers {
		if a.err == nil {
			found.All, found.Config = a.all, a.config
			return found
		}
		errs = append(errs, a.err)
	}
	found.Err = errors.Join(errs...)
	return found
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
	asking.Go(func() { found.Newer, found.SeedErr = client.Seed(ctx, n.seed.Cluster) })
	asking.Wait()
	return &found
}

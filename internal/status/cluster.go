package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"banyan/internal/node"
	"banyan/internal/patroni"
)

// LookAround asks Patroni for all members of the cluster.
func LookAround(ctx context.Context, r Report) (patroni.Cluster, error) {
	config, err := trusted()
	if err != nil {
		return patroni.Cluster{}, err
	}
	return firstAnswer(ctx, r, func(ctx context.Context, s node.Server) (patroni.Cluster, error) {
		return patroni.At(s.Address.String(), s.PatroniPort, config).Cluster(ctx)
	})
}

// firstAnswer asks the node's own Patroni, and where it runs none or that does not
// answer, all others at once.
func firstAnswer(ctx context.Context, r Report, ask func(context.Context, node.Server) (patroni.Cluster, error)) (patroni.Cluster, error) {
	var errs []error
	others := slices.Clone(r.Access.PostgreSQL)
	if i := slices.IndexFunc(others, func(s node.Server) bool { return s.Node == r.Node }); i >= 0 {
		cluster, err := ask(ctx, others[i])
		if err == nil {
			return cluster, nil
		}
		errs, others = append(errs, err), slices.Delete(others, i, i+1)
	}
	type answer struct {
		cluster patroni.Cluster
		err     error
	}
	answers := make(chan answer, len(others))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, s := range others {
		go func() {
			cluster, err := ask(ctx, s)
			answers <- answer{cluster, err}
		}()
	}
	for range others {
		a := <-answers
		if a.err == nil {
			return a.cluster, nil
		}
		errs = append(errs, a.err)
	}
	return patroni.Cluster{}, errors.Join(errs...)
}

// Members is the table of the cluster's members, or who they are where no Patroni answers.
func Members(r Report, live Live) string {
	if len(r.Access.PostgreSQL) == 0 {
		return ""
	}
	if live.Cluster != nil {
		table := live.Cluster.Table()
		if live.Cluster.Pause {
			table += "maintenance mode: nothing fails over; see patronictl resume\n"
		}
		return table
	}
	var p page
	p.line("no Patroni answers who is a member; the seed has these nodes with PostgreSQL:")
	for _, s := range r.Access.PostgreSQL {
		p.row(s.Node, hostPort(s.Address.String(), s.Port))
	}
	for _, l := range fold(live.ClusterError, maxColumns-2) {
		p.line("  " + l)
	}
	return strings.Join(p.lines, "\n") + "\n"
}

// access says where clients reach the cluster.
func (p *page) access(r Report, serves bool) {
	label := "connect to"
	row := func(text string) {
		p.row(label, text)
		label = ""
	}
	a := r.Access
	if a.Name != "" {
		row(a.Name + ", the leader")
	}
	if a.ReadName != "" {
		row(a.ReadName + ", the replicas")
	}
	for _, v := range a.VIPs {
		row(fmt.Sprintf("%s, the leader while it is at %s", v.Address, v.Site))
	}
	if r.PostgreSQLPort != 0 && serves {
		here := hostPort(r.Address, r.PostgreSQLPort)
		if label == "" {
			here += ", this node"
		}
		row(here)
	}
	for _, b := range a.HAProxy {
		var addresses, ports []string
		for _, a := range b.Addresses {
			addresses = append(addresses, a.String())
		}
		for _, port := range b.Ports {
			ports = append(ports, strconv.Itoa(int(port.Port))+" "+port.Serves)
		}
		p.row("HAProxy", "at "+strings.Join(addresses, ", ")+": port "+strings.Join(ports, ", "))
	}
}

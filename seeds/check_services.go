package seeds

import (
	"fmt"
	"slices"
)

// checkServices looks at each node by itself.
func (d document) checkServices(path string, dcs DCS, services []Service) {
	if len(services) == 0 {
		d.Refuse(path, "the list is empty: name what the node runs, or remove the node")
	}
	checkTwice(d, path, services, plain)
	has := func(service Service) bool { return slices.Contains(services, service) }
	for i, service := range services {
		wrong := ""
		switch {
		case service == ServiceEtcd && dcs == DCSRaft:
			wrong = "cluster.dcs is raft, so that nothing uses etcd: remove it, or set cluster.dcs to etcd"
		case service == ServiceEtcd && dcs == DCSExternal:
			wrong = "cluster.dcs is external, so that nothing uses an etcd here: remove it, or set cluster.dcs to etcd"
		case service == ServiceWitness && dcs == DCSExternal:
			wrong = "an external etcd has votes enough of its own: remove the witness"
		case service == ServiceWitness && has(ServicePostgreSQL):
			wrong = "a witness holds no data: remove it, or postgresql"
		case service == ServiceWitness && has(ServiceEtcd):
			wrong = "a witness is a member of etcd already: remove one of the two"
		}
		if wrong != "" {
			d.Refuse(fmt.Sprintf("%s[%d]", path, i), "%s", wrong)
		}
	}
}

// mostMembers is the most that etcd advises:
// https://etcd.io/docs/v3.5/faq/#what-is-maximum-cluster-size
const mostMembers = 7

// checkMembers looks at the nodes together.
func (d document) checkMembers(s Seed) {
	var databases, voters []Node
	witnesses := 0
	for i, n := range s.Nodes {
		services := fmt.Sprintf("nodes[%d].services", i)
		for j := range n.Services {
			if d.Malformed("cluster.dcs") || d.Malformed(services) || d.Given(services) && !d.Given(fmt.Sprintf("%s[%d]", services, j)) {
				return // what was meant is not known
			}
		}
		if n.Runs(ServicePostgreSQL) {
			databases = append(databases, n)
		}
		if s.IsEtcdMember(n) || s.IsRaftMember(n) {
			voters = append(voters, n)
		}
		if slices.Equal(n.Services, []Service{ServiceWitness}) {
			witnesses++
		}
	}
	switch {
	case len(s.Nodes) == 0:
		return
	case witnesses == len(s.Nodes):
		d.Refuse("nodes", "nothing but a witness: a cluster needs a node with postgresql")
		return
	case len(databases) == 0:
		d.Refuse("nodes", "no node runs postgresql: a cluster needs one that does")
		return
	}
	kind := "members of etcd"
	if s.Cluster.DCS == DCSRaft {
		kind = "votes in raft"
		d.Warn("cluster.dcs", "Patroni has deprecated raft since 3.0, and a later one will not have it: use etcd for a new cluster")
	}
	switch count := len(voters); {
	case s.Cluster.DCS == DCSExternal:
	case count == 0 && s.Cluster.DCS == DCSEtcd:
		d.Refuse("nodes", "no node runs etcd: add it to the services of one, three or five nodes, or set cluster.dcs")
	case count == 2:
		d.Warn("nodes", "there are two %s, and the failure of one stops both: add a third, such as a witness", kind)
	case count%2 == 0:
		d.Warn("nodes", "there are %d %s, and as many may fail as of %d: add one, such as a witness, or remove one", count, kind, count-1)
	case count > mostMembers:
		d.Warn("nodes", "there are %d %s, and every write waits for most of them: use %d at most", count, kind, mostMembers)
	}
	if len(s.Sites) > 1 && len(voters) > 0 {
		first := voters[0].Site
		if first != "" && !slices.ContainsFunc(voters, func(n Node) bool { return n.Site != first }) {
			d.Warn("nodes", "all %s are at site %s, and the cluster stops with that site: spread them over the sites", kind, quote(first))
		}
	}
	d.checkSynchronous(s, databases)
	d.checkFailover(s, databases)
}

package seeds

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
)

// Overview is the cluster that a seed makes, for a person or a program to look at.
type Overview struct {
	Cluster    string         `json:"cluster"`
	ID         UUID           `json:"id,omitempty"`
	Generation int            `json:"generation,omitempty"`
	DCS        DCS            `json:"dcs"`
	Members    []string       `json:"dcs_members"` // nodes, or the endpoints of an external one
	Nodes      []OverviewNode `json:"nodes"`
	Sites      []OverviewSite `json:"sites,omitempty"`
	DNS        *OverviewDNS   `json:"dns,omitempty"`
	Ports      []OverviewPort `json:"ports"`
}

// OverviewNode is a node of it.
type OverviewNode struct {
	Name     string       `json:"name"`
	Address  netip.Prefix `json:"address"`
	Site     string       `json:"site,omitempty"`
	Services []Service    `json:"services"`
}

// OverviewSite is a site with what its leader has.
type OverviewSite struct {
	Name   string       `json:"name"`
	Subnet netip.Prefix `json:"subnet"`
	VIPs   []netip.Addr `json:"vips,omitempty"`
}

// OverviewDNS is the names that clients use.
type OverviewDNS struct {
	Name     string  `json:"name"`
	ReadName string  `json:"read_name,omitempty"`
	TTL      Seconds `json:"ttl"` // in seconds
	Auth     DNSAuth `json:"auth"`
}

// OverviewPort is a port, all of TCP, that nodes listen on.
type OverviewPort struct {
	Port  uint16   `json:"port"`
	Use   string   `json:"use"`
	Nodes []string `json:"nodes"`
}

// Overview is what s makes.
func (s *Seed) Overview() Overview {
	o := Overview{Cluster: s.Cluster.Name, ID: s.Cluster.ID, Generation: s.Cluster.Generation, DCS: s.Cluster.DCS, Members: s.dcsMembers()}
	for _, n := range s.Nodes {
		o.Nodes = append(o.Nodes, OverviewNode{n.Name, n.Address, n.Site, n.Services})
		for _, p := range s.Ports(n) {
			o.addPort(p, n.Name)
		}
	}
	slices.SortStableFunc(o.Ports, func(a, b OverviewPort) int { return cmp.Compare(a.Port, b.Port) })
	for _, site := range s.Sites {
		o.Sites = append(o.Sites, OverviewSite(site))
	}
	if s.DNS.Name != "" {
		o.DNS = &OverviewDNS{Name: s.FQDN(s.DNS.Name), ReadName: s.FQDN(s.DNS.ReadName), TTL: s.DNS.TTL, Auth: s.DNS.Auth}
	}
	return o
}

// FQDN is a name of the cluster, such as dns.name, with its zone;
// of "" it is "".
func (s *Seed) FQDN(name string) string {
	if name == "" {
		return ""
	}
	return strings.TrimSuffix(name+"."+s.DNS.Zone, ".")
}

func (s *Seed) dcsMembers() []string {
	if s.Cluster.DCS == DCSExternal {
		return s.Etcd.Endpoints
	}
	var names []string
	for _, n := range s.Nodes {
		if s.IsEtcdMember(n) || s.IsRaftMember(n) {
			names = append(names, n.Name)
		}
	}
	return names
}

func (o *Overview) addPort(p Port, node string) {
	i := slices.IndexFunc(o.Ports, func(other OverviewPort) bool { return other.Port == p.Number && other.Use == p.Use })
	if i < 0 {
		i = len(o.Ports)
		o.Ports = append(o.Ports, OverviewPort{Port: p.Number, Use: p.Use})
	}
	o.Ports[i].Nodes = append(o.Ports[i].Nodes, node)
}

// String is the overview in columns.
func (o Overview) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster %s", o.Cluster)
	if o.Generation > 0 {
		fmt.Fprintf(&b, ", generation %d", o.Generation)
	}
	fmt.Fprintf(&b, "\nDCS     %s: %s\n", o.DCS, strings.Join(o.Members, ", "))
	if o.DNS != nil {
		fmt.Fprintf(&b, "DNS     %s", o.DNS.Name)
		if o.DNS.ReadName != "" {
			fmt.Fprintf(&b, ", replicas %s", o.DNS.ReadName)
		}
		fmt.Fprintf(&b, ", ttl %d, auth %s\n", o.DNS.TTL, o.DNS.Auth)
	}
	nodes := [][]string{{"NODE", "ADDRESS", "SITE", "SERVICES"}}
	for _, n := range o.Nodes {
		nodes = append(nodes, []string{n.Name, n.Address.String(), cmp.Or(n.Site, "-"), Words(n.Services)})
	}
	table(&b, nodes)
	if len(o.Sites) > 0 {
		sites := [][]string{{"SITE", "SUBNET", "VIRTUAL ADDRESSES"}}
		for _, s := range o.Sites {
			sites = append(sites, []string{s.Name, s.Subnet.String(), cmp.Or(Words(s.VIPs), "-")})
		}
		table(&b, sites)
	}
	ports := [][]string{{"PORT", "OF", "ON"}}
	for _, p := range o.Ports {
		on := strings.Join(p.Nodes, ", ")
		if len(p.Nodes) == len(o.Nodes) {
			on = "all nodes"
		}
		ports = append(ports, []string{fmt.Sprint(p.Port), p.Use, on})
	}
	table(&b, ports)
	return b.String()
}

// Words is a list as a person writes it on a line.
func Words[T any](list []T) string {
	var texts []string
	for _, x := range list {
		texts = append(texts, fmt.Sprint(x))
	}
	return strings.Join(texts, ", ")
}

// table writes rows in columns, below an empty line.
func table(b *strings.Builder, rows [][]string) {
	b.WriteString("\n")
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // a builder takes everything
}

package seeds

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"text/template"
)

// Outline is what a person says first of a cluster that is to be.
type Outline struct {
	Name     string
	Nodes    []OutlineNode
	VIPs     []netip.Addr // each for the subnet that it is in
	DNSName  string       // with Zone, what clients connect to
	Zone     string
	DCS      DCS
	Services []Service // of each node; by default those of [Node]
	SSHKey   string    // a line of authorized_keys, for the user dba
}

// OutlineNode is a node of an outline.
type OutlineNode struct {
	Name    string
	Address netip.Prefix
	Gateway netip.Addr // none where it is not valid
}

// Compose writes the commented cluster file of an outline. The text is a seed that
// lacks only what `build seed mint` makes; the error says what keeps it from being one.
func Compose(o Outline) (string, error) {
	sites, subnets, err := o.sites()
	if err != nil {
		return "", err
	}
	replicas := -1
	for range o.Nodes {
		if o.Services == nil || slices.Contains(o.Services, ServicePostgreSQL) {
			replicas++
		}
	}
	var b strings.Builder
	err = outline.Execute(&b, struct {
		Outline
		Sites    []Site
		Replicas int
		Networks []netip.Prefix
	}{o, sites, replicas, subnets})
	if err != nil {
		return "", err
	}
	s, _, err := ParseCluster("cluster.yaml", []byte(b.String()))
	if err != nil {
		return "", fmt.Errorf("this makes no cluster:\n%w", err)
	}
	return b.String(), o.compare(*s)
}

// compare refuses words that YAML takes for something else, such as one with a #.
func (o Outline) compare(s Seed) error {
	said, read := []string{o.Name, o.DNSName, o.Zone}, []string{s.Cluster.Name, s.DNS.Name, s.DNS.Zone}
	for _, n := range o.Nodes {
		said = append(said, n.Name)
	}
	for _, n := range s.Nodes {
		read = append(read, n.Name)
	}
	if o.Zone != "" && o.DNSName == "" {
		return errors.New("a zone needs the name in it that follows the leader")
	}
	for i, word := range said {
		if i >= len(read) || read[i] != word {
			return fmt.Errorf("%q cannot be a name", word)
		}
	}
	return nil
}

// SitesOf makes a site of each subnet that addresses of nodes are in, in their order.
func SitesOf(addresses []netip.Prefix) (sites []Site, subnets []netip.Prefix) {
	for _, a := range addresses {
		if subnet := a.Masked(); a.IsValid() && !slices.Contains(subnets, subnet) {
			subnets = append(subnets, subnet)
			sites = append(sites, Site{Name: fmt.Sprintf("dc%d", len(subnets)), Subnet: subnet})
		}
	}
	return sites, subnets
}

// sites makes a site of each subnet, where there is anything to say of sites.
func (o Outline) sites() (sites []Site, subnets []netip.Prefix, err error) {
	var addresses []netip.Prefix
	for _, n := range o.Nodes {
		addresses = append(addresses, n.Address)
	}
	sites, subnets = SitesOf(addresses)
	if len(sites) < 2 && len(o.VIPs) == 0 {
		return nil, subnets, nil
	}
	for _, vip := range o.VIPs {
		i := slices.IndexFunc(sites, func(s Site) bool { return s.Subnet.Contains(vip) })
		if i < 0 {
			return nil, nil, fmt.Errorf("the virtual address %s is in the subnet of no node: %s", vip, Words(subnets))
		}
		sites[i].VIPs = append(sites[i].VIPs, vip)
	}
	return sites, subnets, nil
}

var outline = template.Must(template.New("cluster file").Funcs(template.FuncMap{"join": Words[netip.Addr], "services": Words[Service]}).Parse(
	`# The cluster {{.Name}}, as "build seed new" wrote it: change and add what is yours.
#
#   build seed check FILE               says all that is wrong, and shows the cluster
#   build seed mint FILE --output DIR   makes the passwords and certificates, and a seed
#                                       for each node
#
# Keys that begin with "#" show their default, or what may be added; docs/seed.md has
# them all.

version: banyan/v1

cluster:
  name: {{.Name}}
{{- if eq .DCS "etcd"}}
# dcs: etcd
{{- else}}
  dcs: {{.DCS}}
{{- end}}
{{if .Sites}}
sites:
{{- range .Sites}}
  - name: {{.Name}}
    subnet: {{.Subnet}}
{{- if .VIPs}}
    vips: [{{join .VIPs}}] # the leader's, while it is here
{{- end}}
{{- end}}
{{end}}
{{- if .DNSName}}
dns:
  name: {{.DNSName}}
{{- if .Zone}}
  zone: {{.Zone}}
{{- end}}
# auth: none                    # or tsig, or gss-tsig as Active Directory wants it
{{end}}
nodes:
{{- range .Nodes}}
  - name: {{.Name}}
    address: {{.Address}}
{{- if .Gateway.IsValid}}
    gateway: {{.Gateway}}
{{- end}}
{{- if $.Services}}
    services: [{{services $.Services}}]
{{- end}}
{{- end}}

# network:
#   dns: [172.16.32.2]
#   domains: [example.org]
#   interface: {name: eno1}     # where a machine has several; or bonds and VLANs

postgresql:
# version: 17                   # the major version; else the installed one
# parameters: {max_connections: 200}
# initdb: {locale: ru_RU.UTF-8}   # how text sorts: it counts at the birth of the cluster alone
  pg_hba:                       # these follow the lines that the cluster itself needs
{{- range .Networks}}
    - hostssl all all {{.}} scram-sha-256
{{- end}}
{{if gt .Replicas 0}}
patroni:
  synchronous_mode: true        # a commit waits for a replica, as long as there is one
  synchronous_node_count: 1
{{else}}
# patroni: {ttl: 30, loop_wait: 10, retry_timeout: 10}    # in seconds
{{end}}
system:
  timezone: Europe/Moscow
# locale: en_US.UTF-8
{{- if .SSHKey}}
  users:
    - name: dba
      sudo: true                # all commands, without a password
      ssh_authorized_keys:
        - {{printf "%q" .SSHKey}}
{{- else}}
# users:                        # without one nobody can log in
#   - name: dba
#     sudo: true
#     ssh_authorized_keys:      # your own, from ~/.ssh/id_ed25519.pub
#       - ssh-ed25519 AAAA... you@example.org
{{- end}}

# secrets:                      # mint makes those that are not given
`))

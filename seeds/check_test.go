package seeds

import (
	"strconv"
	"strings"
	"testing"
)

// TestGoodClusters: what rules across fields come close to, and do not refuse.
func TestGoodClusters(t *testing.T) {
	three := `  - {name: pgsql-n1, address: 172.16.32.11/24}
  - {name: pgsql-n2, address: 172.16.32.12/24}
  - {name: pgsql-n3, address: 172.16.32.13/24, `
	head, tail, _ := strings.Cut(minimal, "nodes: [{name: pgsql-n1, address: 172.16.32.11/24}]\n")
	for name, data := range map[string]string{
		"nodes say what the cluster leaves open": head + "nodes:\n" + three + "network: {interface: {name: bond1}}}\n" + tail +
			"network: {interface: {name: bond0}, bonds: [{name: bond0, interfaces: [{name: eno1}]}, {name: bond1, interfaces: [{name: eno2}]}]}\n",
		"each node names its interface": head + "nodes: [{name: a, address: 172.16.32.11/24, network: {interface: {name: vlan32}}}]\n" + tail +
			"network: {vlans: [{name: vlan32, id: 32, link: {name: eno1}}]}\n",
		"a node takes ports back":          head + "nodes: [{name: a, address: 172.16.32.11/24, postgresql: {port: 5433}}]\n" + tail + "postgresql: {port: 8008}\n",
		"a command below the node":         head + "nodes: [{name: a, address: 172.16.32.11/24, patroni: {pg_probackup: {command: pg_probackup restore}}}]\n" + tail + "patroni: {create_replica_methods: [pg_probackup]}\n",
		"replicas in a chain":              head + "nodes:\n" + three + "patroni: {tags: {replicatefrom: pgsql-n2, nofailover: true}}}\n" + tail,
		"ports of what does not run":       minimal + "haproxy: {ports: {primary: 5432, replicas: 5432}}\n",
		"several VIPs in a subnet":         minimal + "sites: [{name: dc1, subnet: 172.16.32.0/24, vips: [172.16.32.180, 172.16.32.181]}]\n",
		"a VIP in a subnet of two":         head + "nodes: [{name: a, address: 172.16.32.2/31}]\n" + tail + "sites: [{name: dc1, subnet: 172.16.32.2/31, vips: [172.16.32.3]}]\n",
		"a dns server by name":             minimal + "sites: [{name: dc1, subnet: 172.16.32.0/24, vips: [172.16.32.180]}]\ndns: {name: PGSQL-CL, zone: demo.ru, servers: [dc1.demo.ru, '2001:db8::1']}\n",
		"the election at its bound":        minimal + "etcd: {heartbeat-interval: 100, election-timeout: 500}\n",
		"an external etcd by address":      strings.Replace(minimal, "name: pgsql-cl", "name: pgsql-cl, dcs: external", 1) + "etcd: {endpoints: ['http://172.16.32.1:2379', 'http://[2001:db8::1]:2379/']}\n",
		"a verifier":                       minimal + "postgresql: {roles: [{name: App, password: 'SCRAM-SHA-256$4096:bm90IGEgc2FsdA==$" + strings.Repeat("A", 43) + "=:" + strings.Repeat("B", 43) + "='}]}\n",
		"a database of an existing role":   minimal + "postgresql: {existing: true, databases: [{name: app, owner: billing, encoding: utf-8, locale: C}]}\n",
		"ident by pattern":                 minimal + "postgresql: {pg_ident: ['m /^(.*)@example\\.org$ \\1', 'm \"a b\" app # why']}\n",
		"a slot beside the members'":       minimal + "patroni: {slots: {standby_cl: {}, app: {type: logical, database: app, plugin: pgoutput}}}\n",
		"a margin that fits":               minimal + "patroni: {watchdog: {safety_margin: 20, driver: ''}}\n",
		"sudo with arguments":              strings.Replace(minimal, "system: {", "system: {sudo: [{name: dba, commands: [/usr/bin/, /usr/bin/less /var/log/*, ALL]}], ", 1),
		"sysctl with a slash":              strings.Replace(minimal, "system: {", "system: {sysctl: {net.ipv4.conf.eth0/100.rp_filter: 1, net.ipv4.ip_local_port_range: 10000 65535}, ", 1),
		"a proxy with a password":          strings.Replace(minimal, "system: {", "system: {proxy: {http_proxy: 'http://u:Hush@proxy.example.org:8080'}, ", 1),
		"an authority":                     strings.Replace(minimal, "system: {", "system: {ca_certificates: ["+strconv.Quote(certificate(t))+"], ", 1),
		"a node that is named":             minimal + "node: pgsql-n1\n",
		"a link-local router":              head + "nodes: [{name: a, address: '2001:db8::11/64'}]\n" + tail + "network: {routes: [{to: '2001:db8:1::/48', via: 'fe80::1'}]}\n",
		"a link-local gateway":             head + "nodes: [{name: a, address: '2001:db8::11/64', gateway: 'fe80::1'}]\n" + tail,
		"an interface by MAC, and a bond":  minimal + "network: {interface: {mac: '52:54:00:12:34:56'}, bonds: [{name: bond0, interfaces: [{name: eno2}]}], interfaces: [{interface: {name: bond0}, addresses: [10.1.0.11/24]}]}\n",
		"a primary of balance-alb":         minimal + "network: {interface: {name: bond0}, bonds: [{name: bond0, interfaces: [{name: eno1}], mode: balance-alb, primary: eno1}, {name: bond1, interfaces: [{name: eno2}], mode: balance-tlb, primary: eno2}]}\n",
		"a standby of several hosts":       minimal + "patroni: {standby_cluster: {host: '10.2.0.1,10.2.0.2,db.example.org'}}\n",
		"a standby of an archive":          minimal + "patroni: {pg_probackup: {command: pg_probackup restore}, standby_cluster: {restore_command: cp /mnt/%f %p, create_replica_methods: [pg_probackup]}}\n",
		"a standby of an archive and data": minimal + "postgresql: {existing: true}\npatroni: {standby_cluster: {restore_command: cp /mnt/%f %p, recovery_min_apply_delay: 5min}}\n",
		"an interface by MAC, twice":       head + "nodes: [{name: a, address: 172.16.32.11/24, network: {interface: {mac: '52:54:00:12:34:56'}, vlans: [{name: v, id: 7, link: {mac: '52:54:00:12:34:56'}}]}}]\n" + tail,
		"a rule with a set":                minimal + "firewall: {rules: ['tcp dport { 80, 443 } log prefix \"a;b\" accept']}\n",
		"keys taken back are not given":    head + "nodes: [{name: a, address: 172.16.32.11/24, services: , match: , network: {bonds: , vlans: }}]\n" + tail + "dns: {name: }\nnetwork: {interface: {name: bond0}, bonds: [{name: bond0, interfaces: [{name: eno1}]}]}\n",
		"disks told apart by their sizes":  minimal + "storage: {volumes: {data: {match: {min_size: 1TB}}, wal: {match: {max_size: 1TB}}}}\n",
	} {
		t.Run(name, func(t *testing.T) { parse(t, data) })
	}
}

// certificate is the one that an example has.
func certificate(t *testing.T) string {
	t.Helper()
	data, err := Examples.ReadFile("examples/external-etcd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cluster, _, err := ParseCluster("external-etcd.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	return string(cluster.Etcd.CACert)
}

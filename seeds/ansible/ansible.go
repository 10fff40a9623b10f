// Package ansible makes a cluster file of the variables and the inventory of
// pgsql_cluster, the Ansible playbook that Banyan replaces:
// https://github.com/IlgizMamyshev/pgsql_cluster
//
// It reads as much of Ansible as these files are written in: YAML, the INI format of
// inventories, and references such as {{ patroni_cluster_name }}. What it cannot resolve
// is reported and never guessed. The table in table.go says what becomes of each
// variable; a variable that is not in it is reported too, so that none is dropped.
package ansible

import (
	"net/netip"
)

// File is a file as it was read.
type File struct {
	Name string // what the report calls it
	Data []byte
}

// Input is what a cluster file is made of.
type Input struct {
	// Vars are files of variables. Where two have a variable, the later counts.
	Vars []File
	// Inventory is in Ansible's INI format.
	Inventory File
	// Addresses are those of hosts, by the name that the inventory has for them; they
	// count before ansible_host.
	Addresses map[string]netip.Prefix
	// Names are those of hosts that the inventory has by their address only.
	Names map[string]string
	// Subnets are where addresses without a prefix length have it from.
	Subnets []netip.Prefix
	// Gateways are the routers of subnets.
	Gateways []netip.Addr
	// ClusterName takes the place of patroni_cluster_name.
	ClusterName string
}

// Result is a cluster file and how it came about.
type Result struct {
	// Cluster is the file, which holds passwords, or nil where something is missing.
	Cluster []byte
	// Report says what became of each variable.
	Report Report
}

// Import makes a cluster file. Its error is a file that cannot be read; what is missing
// is in the report, all of it.
func Import(in Input) (*Result, error) {
	inv, err := readInventory(in.Inventory)
	if err != nil {
		return nil, err
	}
	im := &importer{in: in, inventory: inv, cluster: newCluster(), seen: map[string]bool{}, warned: map[string]bool{}}
	if err := im.read(); err != nil {
		return nil, err
	}
	im.set(origin{}, text("banyan/v1"), "version")
	im.makeNodes()
	im.makeDCS()
	im.makeSites()
	im.applyTable()
	return im.finish()
}

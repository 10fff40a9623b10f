package node

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"banyan/internal/facts"
	"banyan/seeds"
)

// CheckRelease says what of s and self this release cannot make of any machine. It can
// be rendered all the same, to be looked at.
func CheckRelease(s seeds.Seed, self seeds.Node) error {
	var errs []error
	if len(s.Nodes) != 1 {
		errs = append(errs, fmt.Errorf("nodes: the seed has %d, and a cluster of one is all that this release can make", len(s.Nodes)))
	}
	if s.Cluster.DCS != seeds.DCSEtcd {
		errs = append(errs, fmt.Errorf("cluster.dcs: %s is for a later release: this one has etcd on the node itself", s.Cluster.DCS))
	}
	if !self.Runs(seeds.ServicePostgreSQL) || !self.Runs(seeds.ServiceEtcd) {
		errs = append(errs, fmt.Errorf("services: %s runs %s, and this release makes nodes with both postgresql and etcd", self.Name, seeds.Words(self.Services)))
	}
	return errors.Join(errs...)
}

// later is what this release reads, checks and does not apply yet: keys of a node, and
// of the seed where a node has none of that name.
var later = []string{
	"dns.name", "haproxy", "pki.key_type", "pki.ca_days", "pki.node_days", "pki.etcd_ca", "pki.certificate", "pki.key", "pki.etcd_certificate", "pki.etcd_key", "sites.vips",
	"etcd.cacert", "etcd.cert", "etcd.key", "etcd.snapshots",
	"patroni.restapi.ciphers", "patroni.restapi.verify_client",
}

// index is which item of a list a path leads to.
var index = regexp.MustCompile(`\[[^]]*\]`)

// Later lists, in order, the keys that are given for self, of s, and that this release
// applies on no machine. They stay in the seed for one that does.
func Later(s seeds.Seed, self seeds.Node) []string {
	var keys []string
	changed := seeds.Changed(s, self)
	for _, key := range later {
		if slices.ContainsFunc(changed, func(path string) bool { return strings.HasPrefix(index.ReplaceAllString(path, "")+".", key+".") }) {
			keys = append(keys, key)
		}
	}
	if self.Runs(seeds.ServiceHAProxy) {
		keys = append(keys, "services: haproxy")
	}
	if self.Runs(seeds.ServiceWitness) && s.Cluster.DCS == seeds.DCSRaft {
		keys = append(keys, "services: witness")
	}
	slices.Sort(keys)
	return keys
}

// Unapplied is [Later] with the keys that the Patroni of this machine is too old for.
func Unapplied(s seeds.Seed, self seeds.Node, f facts.Facts) []string {
	keys := Later(s, self)
	if can := abilities(f); self.Runs(seeds.ServicePostgreSQL) {
		if len(self.Patroni.RESTAPI.Allowlist) > 0 && !can.hasAllowlist() {
			keys = append(keys, "patroni.restapi.allowlist")
		}
		if self.Patroni.FailsafeMode && !can.hasFailsafe() {
			keys = append(keys, "patroni.failsafe_mode")
		}
		if self.Patroni.MemberSlotsTTL != "" && !can.hasMemberSlotsTTL() {
			keys = append(keys, "patroni.member_slots_ttl")
		}
	}
	slices.Sort(keys)
	return keys
}

package node

import (
	"regexp"
	"slices"
	"strings"

	"banyan/internal/facts"
	"banyan/seeds"
)

// later is what this release reads, checks and does not apply yet: keys of a node, and
// of the seed where a node has none of that name.
var later = []string{
	"dns.name", "sites.vips",
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

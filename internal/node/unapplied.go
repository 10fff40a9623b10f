package node

import (
	"slices"

	"banyan/internal/facts"
	"banyan/seeds"
)

// Unapplied lists, in order, the keys that are given for self and that the Patroni of
// this machine is too old for. They stay in the seed for a machine with a newer one.
func Unapplied(self seeds.Node, f facts.Facts) []string {
	if !self.Runs(seeds.ServicePostgreSQL) {
		return nil
	}
	var keys []string
	can := abilities(f)
	if len(self.Patroni.RESTAPI.Allowlist) > 0 && !can.hasAllowlist() {
		keys = append(keys, "patroni.restapi.allowlist")
	}
	if self.Patroni.FailsafeMode && !can.hasFailsafe() {
		keys = append(keys, "patroni.failsafe_mode")
	}
	if self.Patroni.MemberSlotsTTL != "" && !can.hasMemberSlotsTTL() {
		keys = append(keys, "patroni.member_slots_ttl")
	}
	slices.Sort(keys)
	return keys
}

package node

import "banyan/seeds"

// Services are the units that do the part of a node in its cluster, once it is born.
func Services(s seeds.Seed, self seeds.Node) []string {
	var units []string
	if s.HoldsState(self) {
		units = append(units, peerSocket)
	}
	if s.IsEtcdMember(self) {
		units = append(units, etcdUnit)
	}
	if s.IsRaftMember(self) {
		units = append(units, RaftUnit)
	}
	if self.Runs(seeds.ServicePostgreSQL) {
		units = append(units, patroniUnit)
	}
	if self.Runs(seeds.ServiceHAProxy) {
		units = append(units, haproxyUnit)
	}
	if s.KeepsVIPs(self) {
		units = append(units, dnscpUnit)
	}
	return units
}

package seeds

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	slotName = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)
	// postgresTime is a time as PostgreSQL writes it.
	postgresTime = regexp.MustCompile(`^[0-9]{1,9} ?(us|ms|s|min|h|d)?$`)
	maxRate      = regexp.MustCompile(`^([0-9]{1,9})([kM]?)$`)
	moduleName   = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)
	device       = regexp.MustCompile(`^/dev(/[A-Za-z0-9._-]+)+$`)
	ciphers      = regexp.MustCompile(`^[A-Za-z0-9_:!+@=.-]+$`)
)

// checkPatroni: the bounds are Patroni's, which since 3.2 changes a value that
// breaks them and says so in its log only.
// https://patroni.readthedocs.io/en/latest/dynamic_configuration.html
func (d document) checkPatroni(prefix string, s Seed, p Patroni) {
	d.checkTimes(prefix, p)
	for key, value := range map[string]int64{
		"maximum_lag_on_failover": p.MaximumLagOnFailover, "primary_start_timeout": int64(p.PrimaryStartTimeout), "primary_stop_timeout": int64(p.PrimaryStopTimeout),
	} {
		d.checkRange(prefix+key, value, 0, math.MaxInt64, "")
	}
	d.checkRange(prefix+"maximum_lag_on_syncnode", p.MaximumLagOnSyncnode, -1, math.MaxInt64, "")
	d.checkRange(prefix+"synchronous_node_count", int64(p.SynchronousNodeCount), 1, math.MaxInt64, "")
	if !postgresTime.MatchString(p.MemberSlotsTTL) {
		d.Refuse(prefix+"member_slots_ttl", "%s is not a time, such as 30min", quote(p.MemberSlotsTTL))
	}
	d.checkSlots(prefix+"slots", s, p.Slots)
	d.checkStandby(prefix+"standby_cluster.", s, p.StandbyCluster)
	checkTwice(d, prefix+"create_replica_methods", p.CreateReplicaMethods, plain)
	if len(p.CreateReplicaMethods) == 0 {
		d.Refuse(prefix+"create_replica_methods", "the list is empty, so that no replica could be made: write basebackup")
	}
	if rate := p.Basebackup.MaxRate; !isRate(rate) {
		d.Refuse(prefix+"basebackup.max-rate", "%s is not a rate that pg_basebackup takes: use 32k to 1024M", quote(rate))
	}
	for _, placeholder := range []string{"%f", "%p"} {
		for _, at := range []struct{ key, command string }{{"restore_command", p.RestoreCommand}, {"standby_cluster.restore_command", p.StandbyCluster.RestoreCommand}} {
			if !strings.Contains(at.command, placeholder) {
				d.Warn(prefix+at.key, "the command has no %s, which PostgreSQL replaces: %%f is the segment that it wants, %%p where it goes", placeholder)
			}
		}
	}
	d.checkWatchdog(prefix, p)
	for i, allowed := range p.RESTAPI.Allowlist {
		if _, err := netip.ParsePrefix(allowed); err != nil && wrongHost(allowed) != "" {
			d.Refuse(fmt.Sprintf("%srestapi.allowlist[%d]", prefix, i), "%s, nor a network such as 172.16.32.0/24", wrongHost(allowed))
		}
	}
	checkTwice(d, prefix+"restapi.allowlist", p.RESTAPI.Allowlist, quote)
	if !ciphers.MatchString(p.RESTAPI.Ciphers) {
		d.Refuse(prefix+"restapi.ciphers", "this is not a list of ciphers, as openssl ciphers prints it")
	}
	d.checkDirectory(prefix+"raft.data_dir", p.Raft.DataDir)
	if s.Cluster.DCS == DCSEtcd || s.Cluster.DCS == DCSExternal {
		d.Warn(prefix+"raft", "this counts for nothing, since cluster.dcs is %s: remove it", s.Cluster.DCS)
	}
}

func (d document) checkTimes(prefix string, p Patroni) {
	ttl, loopWait, retryTimeout := prefix+"ttl", prefix+"loop_wait", prefix+"retry_timeout"
	sound := true
	for _, bound := range []struct {
		path         string
		value, least Seconds
	}{{ttl, p.TTL, 20}, {loopWait, p.LoopWait, 1}, {retryTimeout, p.RetryTimeout, 3}} {
		if bound.value < bound.least {
			d.Refuse(bound.path, "%s of %d s is below %d s, the least that Patroni takes", strings.TrimPrefix(bound.path, prefix), bound.value, bound.least)
		}
		sound = sound && !d.Malformed(bound.path) && bound.value >= bound.least
	}
	// Written so that no number is too large for it.
	if sound && p.RetryTimeout > (p.TTL-p.LoopWait)/2 {
		d.Refuse(d.given(ttl, loopWait, retryTimeout),
			"Patroni needs loop_wait + 2 * retry_timeout <= ttl, and %d + 2 * %d is above %d: raise ttl or lower the others",
			p.LoopWait, p.RetryTimeout, p.TTL)
	}
}

// isRate: pg_basebackup takes 32 kB to 1 GB a second.
func isRate(rate string) bool {
	parts := maxRate.FindStringSubmatch(rate)
	if parts == nil {
		return false
	}
	n, err := strconv.Atoi(parts[1])
	if parts[2] == "M" {
		n *= 1024
	}
	return err == nil && n >= 32 && n <= 1024*1024
}

// checkSlots: a slot that Patroni makes for a member bears the member's name, in
// lower case and with underscores (slot_name_from_member_name).
func (d document) checkSlots(path string, s Seed, slots map[string]Slot) {
	if !d.HasKey(path) {
		return
	}
	members := map[string]string{}
	for _, n := range s.Nodes {
		members[strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToLower(n.Name))] = n.Name
	}
	for _, name := range slices.Sorted(maps.Keys(slots)) {
		slot, path := slots[name], path+"."+name
		switch {
		case !slotName.MatchString(name):
			d.RefuseKey(path, "this is not the name of a slot: use 1 to %d lower-case letters, digits and underscores", longestName)
			continue
		case members[name] != "":
			d.RefuseKey(path, "%s is the slot that Patroni makes for member %s: choose another name", name, quote(members[name]))
		}
		for _, key := range []string{"database", "plugin"} {
			switch {
			case slot.Type == "logical" && d.Given(path):
				d.Require(path+"."+key, "text, since the slot is logical")
			case slot.Type == "physical":
				d.Refuse(path+"."+key, "a physical slot has no %s: set type to logical, or remove it", key)
			}
		}
	}
}

// checkStandby: a standby cluster follows hosts, an archive, or both.
func (d document) checkStandby(prefix string, s Seed, c StandbyCluster) {
	host, restore, methods := prefix+"host", prefix+"restore_command", prefix+"create_replica_methods"
	switch {
	case d.Given(host):
		d.checkStandbyHosts(host, s, c)
	case d.Malformed(host):
		return
	case c.RestoreCommand == "" && !d.Malformed(restore):
		for _, key := range []string{"port", "primary_slot_name", "create_replica_methods", "restore_command", "archive_cleanup_command", "recovery_min_apply_delay"} {
			d.Refuse(prefix+key, "without standby_cluster.host and standby_cluster.restore_command this is no standby cluster: set one of them, or remove %s", key)
		}
		return
	default:
		for _, key := range []string{"port", "primary_slot_name"} {
			d.Refuse(prefix+key, "without standby_cluster.host there is no primary to reach: set it, or remove %s", key)
		}
		if !slices.Contains(c.CreateReplicaMethods, "pg_probackup") && !s.PostgreSQL.Existing && !d.Malformed(methods) {
			d.Refuse(d.given(methods, restore), "without standby_cluster.host there is nothing that basebackup could copy: set standby_cluster.create_replica_methods to [pg_probackup]")
		}
	}
	if !slotName.MatchString(c.PrimarySlotName) {
		d.Refuse(prefix+"primary_slot_name", "%s is not the name of a slot: use 1 to %d lower-case letters, digits and underscores", quote(c.PrimarySlotName), longestName)
	}
	if !postgresTime.MatchString(c.RecoveryMinApplyDelay) {
		d.Refuse(prefix+"recovery_min_apply_delay", "%s is not a time, such as 5min", quote(c.RecoveryMinApplyDelay))
	}
	checkTwice(d, prefix+"create_replica_methods", c.CreateReplicaMethods, plain)
	for _, key := range []string{"roles", "databases"} {
		d.Warn("postgresql."+key, "a standby cluster takes its %s from the other cluster: make them there", key)
	}
}

// checkStandbyHosts: Patroni takes several since 2.1.3, and libpq tries one after another.
func (d document) checkStandbyHosts(path string, s Seed, c StandbyCluster) {
	for host := range strings.SplitSeq(c.Host, ",") {
		a, err := netip.ParseAddr(host)
		switch wrong := wrongHost(host); {
		case wrong != "":
			d.Refuse(path, "%s", wrong)
		case err == nil && (slices.ContainsFunc(s.Nodes, func(n Node) bool { return n.Address.Addr() == a }) ||
			slices.ContainsFunc(s.Sites, func(site Site) bool { return slices.Contains(site.VIPs, a) })):
			d.Refuse(path, "%s is this cluster's own: write the address of the other cluster", a)
		}
	}
}

// checkWatchdog: the watchdog is armed for ttl - safety_margin, and Patroni feeds it
// once a round. https://patroni.readthedocs.io/en/latest/watchdog.html
func (d document) checkWatchdog(prefix string, p Patroni) {
	w, margin := p.Watchdog, prefix+"watchdog.safety_margin"
	if w.SafetyMargin < -1 {
		d.Refuse(margin, "safety_margin of %d s is out of range: use -1 for half of ttl, or 0 s or more", w.SafetyMargin)
	} else {
		armed := p.TTL - w.SafetyMargin
		if w.SafetyMargin == -1 {
			armed = p.TTL / 2
		}
		if p.LoopWait > armed && p.TTL >= 20 && p.LoopWait > 0 && !d.Malformed(margin) && w.Mode != "off" {
			d.Refuse(d.given(margin, prefix+"watchdog.mode"), "the watchdog would fire after %d s, and Patroni feeds it every %d s (loop_wait): lower safety_margin, or raise ttl", armed, p.LoopWait)
		}
	}
	if !device.MatchString(w.Device) {
		d.Refuse(prefix+"watchdog.device", "%s is not a device, such as /dev/watchdog", quote(w.Device))
	}
	if !moduleName.MatchString(w.Driver) {
		d.Refuse(prefix+"watchdog.driver", "%s is not the name of a kernel module, such as iTCO_wdt", quote(w.Driver))
	}
}

// checkReplicaMethods: what a node is to do, it has to know how.
func (d document) checkReplicaMethods(node string, n Node) {
	for key, methods := range map[string][]ReplicaMethod{
		"patroni.create_replica_methods": n.Patroni.CreateReplicaMethods, "patroni.standby_cluster.create_replica_methods": n.Patroni.StandbyCluster.CreateReplicaMethods,
	} {
		if slices.Contains(methods, "pg_probackup") && strings.TrimSpace(n.Patroni.PgProbackup.Command) == "" {
			d.Refuse(d.given(node+key, key), "pg_probackup needs to be told how: set patroni.pg_probackup.command")
		}
	}
}

// checkSynchronous warns of waiting for nobody. databases are the nodes that run
// PostgreSQL.
func (d document) checkSynchronous(s Seed, databases []Node) {
	const strict = "patroni.synchronous_mode_strict"
	switch {
	case !s.Patroni.SynchronousModeStrict:
	case s.Patroni.SynchronousMode == "false":
		d.Warn(strict, "this counts for nothing, since synchronous_mode is false: set that, or remove it")
	case len(databases) == 1:
		d.Warn(strict, "there is one node with postgresql, and nothing could be written: a strict cluster needs a replica")
	default:
		for i, leader := range databases {
			others := slices.Concat(databases[:i], databases[i+1:])
			if !leader.Patroni.Tags.NoFailover && !slices.ContainsFunc(others, func(n Node) bool { return !n.Patroni.Tags.NoSync }) {
				d.Warn(strict, "with node %s as the leader nothing could be written, since the others have nosync: take it from one of them", quote(leader.Name))
				return
			}
		}
	}
}

// checkFailover refuses a cluster of which no member may lead.
func (d document) checkFailover(s Seed, databases []Node) {
	if slices.ContainsFunc(databases, func(n Node) bool { return !n.Patroni.Tags.NoFailover }) {
		return
	}
	const key = "patroni.tags.nofailover"
	places := []string{key}
	for i := range s.Nodes {
		places = append(places, fmt.Sprintf("nodes[%d].%s", i, key))
	}
	d.Refuse(d.given(places...), "every node with postgresql has nofailover, so that none may lead: take it from one at least")
}

// checkTags: a member replicates from another, and in the end from the leader.
func (d document) checkTags(node string, n Node, byName map[string]*Node) {
	const key = "patroni.tags.replicatefrom"
	from := n.Patroni.Tags.ReplicateFrom
	if from == "" {
		return
	}
	var wrong string
	switch other := byName[from]; {
	case from == n.Name:
		wrong = fmt.Sprintf("node %s cannot replicate from itself: name another", quote(from))
	case other == nil:
		wrong = fmt.Sprintf("there is no node %s: name one of nodes", quote(from))
	case !other.Runs(ServicePostgreSQL):
		wrong = fmt.Sprintf("node %s does not run postgresql: name one that does", quote(from))
	case n.replicatesFromItself(byName):
		wrong = fmt.Sprintf("node %s replicates from this one in its turn: one of them has to follow the leader", quote(from))
	default:
		return
	}
	d.Refuse(d.given(node+key, key), "%s", wrong)
}

// replicatesFromItself tells whether what n replicates from leads back to it.
func (n Node) replicatesFromItself(byName map[string]*Node) bool {
	other := byName[n.Patroni.Tags.ReplicateFrom]
	for range byName {
		switch {
		case other == nil:
			return false
		case other.Name == n.Name:
			return true
		}
		other = byName[other.Patroni.Tags.ReplicateFrom]
	}
	return false
}

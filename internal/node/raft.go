package node

import (
	"fmt"
	"net/netip"
	"slices"

	"banyan/internal/converge"
	"banyan/internal/facts"
	"banyan/seeds"
)

const (
	// RaftUnit is the service of a member of Patroni's raft.
	RaftUnit = "banyan-raft.service"

	// RaftConfig is the configuration of that member, and of who asks the raft on the node.
	RaftConfig = "/etc/banyan/raft.yml"

	// RaftProgram runs and asks what is made of PySyncObj: see there.
	RaftProgram = "/usr/lib/banyan/raft.py"
)

// Python runs [RaftProgram].
const Python = "/usr/bin/python3"

// patroniRaft is the section raft of Patroni's configuration. Who has no address of its own
// there has no vote and keeps no journal, and is a client of the members.
// https://patroni.readthedocs.io/en/latest/yaml_configuration.html#raft-deprecated
type patroniRaft struct {
	DataDir      string   `yaml:"data_dir,omitempty"`
	SelfAddr     string   `yaml:"self_addr,omitempty"`
	BindAddr     string   `yaml:"bind_addr,omitempty"`
	PartnerAddrs []string `yaml:"partner_addrs"`
	Password     string   `yaml:"password"`
}

// patroniRaftOf has Patroni be a client of all members, the node's own among them: the
// cluster's state is there before Patroni starts, and stays when Patroni is restarted.
func patroniRaftOf(s seeds.Seed) *patroniRaft {
	if s.Cluster.DCS != seeds.DCSRaft {
		return nil
	}
	r := patroniRaft{Password: s.Secrets.RaftPassword.Reveal()}
	for _, n := range RaftMembers(s) {
		r.PartnerAddrs = append(r.PartnerAddrs, RaftAddress(n))
	}
	return &r
}

// RaftMembers are the nodes that the raft consists of.
func RaftMembers(s seeds.Seed) []seeds.Node {
	return slices.DeleteFunc(slices.Clone(s.Nodes), func(n seeds.Node) bool { return !s.IsRaftMember(n) })
}

// RaftAddress is where the others reach a member, and what its files are called. PySyncObj
// takes all before the last colon for the host, and knows no brackets.
func RaftAddress(n seeds.Node) string { return raftListen(n.Address.Addr(), n.Patroni.Raft.Port) }

func raftListen(a netip.Addr, port uint16) string { return fmt.Sprintf("%s:%d", a, port) }

// raft is the node's member of Patroni's raft: Patroni's own controller, which on a node
// with PostgreSQL runs beside Patroni, as etcd would. Like that it starts by itself once it
// is born. systemd starts it anew where it ends, or where it is silent.
func raft(s seeds.Seed, self seeds.Node, f facts.Facts, volumes []volume) (converge.Step, error) {
	own := RaftAddress(self)
	member := patroniRaftOf(s)
	member.DataDir, member.SelfAddr, member.BindAddr = self.Patroni.Raft.DataDir, own, own
	// Whoever finds itself among its partners never starts: https://github.com/patroni/patroni/issues/1701
	member.PartnerAddrs = slices.DeleteFunc(member.PartnerAddrs, func(a string) bool { return a == own })
	config, err := patroniYAML(RaftConfig, struct {
		Scope     string       `yaml:"scope"`
		Namespace string       `yaml:"namespace"`
		Name      string       `yaml:"name"`
		Log       patroniLog   `yaml:"log"`
		Raft      *patroniRaft `yaml:"raft"`
	}{s.Cluster.Name, PatroniNamespace, self.Name, patroniLogOf(self.Patroni), member})
	if err != nil {
		return converge.Step{}, err
	}
	dir := self.Patroni.Raft.DataDir
	resources := append(above(volumes, "/var/lib", dir),
		converge.Directory{Path: dir, Mode: 0o700, Owner: "postgres", On: onVolumePath(volumes, dir)},
		ownDirectory,
		converge.File{Path: RaftConfig, Mode: 0o600, Owner: "postgres", Content: config, Secret: true},
		unitFile(RaftUnit, fmt.Sprintf(`[Unit]
Description=Member of the raft that Patroni keeps the state of the cluster in
Documentation=man:firstboot(8) https://patroni.readthedocs.io/en/latest/yaml_configuration.html#raft-deprecated
Wants=network-online.target
After=network-online.target
%sStartLimitIntervalSec=0

[Service]
User=postgres
Group=postgres
ExecStart=%s %s run /usr/bin/patroni_raft_controller %s
Restart=always
RestartSec=5
WatchdogSec=1min
OOMScoreAdjust=-900
LimitCORE=0
ReadWritePaths=%s
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateDevices=yes
PrivateTmp=yes
CapabilityBoundingSet=
NoNewPrivileges=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
`, requiresMounts(volumes, dir), Python, RaftProgram, RaftConfig, dir)),
		converge.Unit{Name: RaftUnit, Enabled: f.Joins(), RestartOn: []string{RaftConfig, unitDir + RaftUnit}})
	return converge.Step{Name: StepRaft, Needs: needs(volumes, dir), Resources: resources}, nil
}

// raftClient has Patroni run with the same mends as the members have.
const raftClient = "WatchdogSec=1min\nExecStart=\nExecStart=" + Python + " " + RaftProgram + " run /usr/bin/patroni " + patroniConfig + "\n"

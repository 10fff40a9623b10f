package node

import "banyan/internal/facts"

// abilities is what the programs and the kernel of a machine know, where those of Debian
// 11, 12 and 13 differ. A program of no package has no version and is taken for new:
// [facts.Version]. No other file of this package asks for a version; which ones of
// PostgreSQL have a parameter is in the table of [parameters].
//
// What all of them take alike needs no name here:
//
//   - KeepConfiguration=yes means the same from systemd 247 to 257, though the other
//     values of that key were renamed in 257.
//   - systemd-networkd.service of Debian 11 cannot reload, and is restarted by what
//     would reload it.
//   - /etc/default/locale is what PAM and, up to Debian 12, systemd read; it is a link to
//     /etc/locale.conf as Debian 13 has it. /etc/timezone is gone from Debian 13, where
//     nothing minds it.
//   - The firewall is read by nft 0.9.8, 1.0.6 and 1.1.3, the clock's configuration by
//     chronyd 4.0, 4.3 and 4.6, the rules of sudo by visudo 1.9.5, 1.9.13 and 1.9.16.
type abilities facts.Facts

// matchesKinds: [Match] Kind= tells a wired interface from a virtual one of type ether.
// https://github.com/systemd/systemd/blob/main/NEWS, version 251.
func (a abilities) matchesKinds() bool { return !a.Systemd.Before(251, 0) }

// checksQuietly: systemd-fsck of a file system that cannot be mended fails its unit; an
// older one starts emergency.target, where nobody can log in.
// https://github.com/systemd/systemd/blob/main/NEWS, version 250.
func (a abilities) checksQuietly() bool { return !a.Systemd.Before(250, 0) }

// hidesMigrationCost: kernel.sched_migration_cost_ns has gone to debugfs.
// https://git.kernel.org/linus/8a99b6833c884fa0e7919030d93fecedc69fc625
func (a abilities) hidesMigrationCost() bool { return !a.Kernel.Before(5, 13) }

// Patroni ignores keys that it does not know, without a word. What it knows from which
// version on: https://patroni.readthedocs.io/en/latest/releases.html

// hasAllowlist: restapi.allowlist, without which all hosts may write.
func (a abilities) hasAllowlist() bool { return !a.Patroni.Before(2, 1) }

// reloadsCertificate: what reloads Patroni has its REST API show a certificate that is new in its file.
func (a abilities) reloadsCertificate() bool { return !a.Patroni.Before(2, 1) }

// hasFailsafe: failsafe_mode.
func (a abilities) hasFailsafe() bool { return !a.Patroni.Before(3, 0) }

// saysPrimary: primary and leader in the names of keys that had master before.
func (a abilities) saysPrimary() bool { return !a.Patroni.Before(3, 0) }

// hasBeforeStop: postgresql.before_stop, which 3.0.3 brought.
func (a abilities) hasBeforeStop() bool { return !a.Patroni.Before(3, 1) }

// hasMemberSlotsTTL: member_slots_ttl.
func (a abilities) hasMemberSlotsTTL() bool { return !a.Patroni.Before(4, 0) }

// hasQuorum: synchronous_mode quorum, which an older one takes for off.
func (a abilities) hasQuorum() bool { return !a.Patroni.Before(4, 0) }

// defaultsToAPI3: etcdctl takes API 3, which Patroni uses, for the default.
// https://etcd.io/docs/latest/upgrades/upgrade_3_4/
func (a abilities) defaultsToAPI3() bool { return !a.Etcd.Before(3, 4) }

// hasLogLevel: etcd's log-level, which its logger zap minds.
// https://github.com/etcd-io/etcd/blob/main/CHANGELOG/CHANGELOG-3.4.md
func (a abilities) hasLogLevel() bool { return !a.Etcd.Before(3, 4) }

// prefersZap: zap is etcd's default logger; the one before it minds no level.
// https://etcd.io/docs/latest/upgrades/upgrade_3_5/
func (a abilities) prefersZap() bool { return !a.Etcd.Before(3, 5) }

// hasEtcdutl: what works on files has gone from etcdctl to etcdutl.
// https://github.com/etcd-io/etcd/blob/main/CHANGELOG/CHANGELOG-3.5.md
func (a abilities) hasEtcdutl() bool { return !a.Etcd.Before(3, 5) }

// Of PostgreSQL a machine may have several versions: these are of the one that runs.

// grantsGroupAccess: initdb has --allow-group-access.
// https://www.postgresql.org/docs/release/11.0/
func (d database) grantsGroupAccess() bool { return d.version >= 11 }

// keepsStatisticsInMemory: statistics are in shared memory, and no longer written over and over.
// https://www.postgresql.org/docs/release/15.0/
func (d database) keepsStatisticsInMemory() bool { return d.version >= 15 }

// makesChecksums: initdb makes checksums unless it is told not to.
// https://www.postgresql.org/docs/release/18.0/
func (d database) makesChecksums() bool { return d.version >= 18 }

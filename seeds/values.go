package seeds

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// DCS is a distributed configuration store.
type DCS string

// The stores that Patroni may use.
const (
	DCSEtcd     DCS = "etcd"
	DCSExternal DCS = "external"
	DCSRaft     DCS = "raft"
)

// Enum lists the stores.
func (DCS) Enum() []string { return []string{string(DCSEtcd), string(DCSExternal), string(DCSRaft)} }

// Service is a part that a node may run.
type Service string

// The services of a node.
const (
	ServicePostgreSQL Service = "postgresql"
	ServiceEtcd       Service = "etcd"
	ServiceHAProxy    Service = "haproxy"
	ServiceWitness    Service = "witness"
)

// Enum lists the services.
func (Service) Enum() []string {
	return []string{string(ServicePostgreSQL), string(ServiceEtcd), string(ServiceHAProxy), string(ServiceWitness)}
}

// Reconfigure is what becomes of a newer seed.
type Reconfigure string

// What becomes of a newer seed.
const (
	ReconfigureManual    Reconfigure = "manual"
	ReconfigureAutomatic Reconfigure = "automatic"
)

// Enum lists the ways.
func (Reconfigure) Enum() []string {
	return []string{string(ReconfigureManual), string(ReconfigureAutomatic)}
}

// DNSAuth is how updates of DNS are authorized.
type DNSAuth string

// How updates of DNS are authorized.
const (
	DNSAuthNone    DNSAuth = "none"
	DNSAuthTSIG    DNSAuth = "tsig"
	DNSAuthGSSTSIG DNSAuth = "gss-tsig"
)

// Enum lists the ways.
func (DNSAuth) Enum() []string {
	return []string{string(DNSAuthNone), string(DNSAuthTSIG), string(DNSAuthGSSTSIG)}
}

// TSIGAlgorithm is the hash of a TSIG key.
type TSIGAlgorithm string

// Enum lists the algorithms that RFC 8945 recommends.
func (TSIGAlgorithm) Enum() []string {
	return []string{"hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"}
}

// SynchronousMode is whether commits wait for replicas.
type SynchronousMode string

// SynchronousModeQuorum is known to Patroni from 4.0 on.
const SynchronousModeQuorum SynchronousMode = "quorum"

// Enum lists the modes.
func (SynchronousMode) Enum() []string {
	return []string{"false", "true", string(SynchronousModeQuorum)}
}

// RoleOption is an attribute of a role.
type RoleOption string

// Enum lists the attributes of CREATE ROLE that take no value.
func (RoleOption) Enum() []string {
	return []string{"LOGIN", "NOLOGIN", "SUPERUSER", "NOSUPERUSER", "CREATEDB", "NOCREATEDB", "CREATEROLE", "NOCREATEROLE",
		"INHERIT", "NOINHERIT", "REPLICATION", "NOREPLICATION", "BYPASSRLS", "NOBYPASSRLS"}
}

// SlotType is a kind of replication slot.
type SlotType string

// Enum lists the kinds.
func (SlotType) Enum() []string { return []string{"physical", "logical"} }

// ReplicaMethod is a way to make a replica.
type ReplicaMethod string

// Enum lists the ways.
func (ReplicaMethod) Enum() []string { return []string{"basebackup", "pg_probackup"} }

// Checkpoint is how a base backup begins.
type Checkpoint string

// Enum lists the ways.
func (Checkpoint) Enum() []string { return []string{"fast", "spread"} }

// WatchdogMode is Patroni's use of a watchdog.
type WatchdogMode string

// The modes of which the code knows more than the name: it uses none, or does not lead
// without one.
const (
	WatchdogOff      WatchdogMode = "off"
	WatchdogRequired WatchdogMode = "required"
)

// Enum lists the modes.
func (WatchdogMode) Enum() []string {
	return []string{string(WatchdogOff), "automatic", string(WatchdogRequired)}
}

// LogLevel is a level of Python's logging.
type LogLevel string

// Enum lists the levels.
func (LogLevel) Enum() []string { return []string{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"} }

// Balance is how HAProxy spreads connections.
type Balance string

// Enum lists the algorithms that suit long connections.
func (Balance) Enum() []string {
	return []string{"roundrobin", "static-rr", "leastconn", "first", "source"}
}

// HugePageSize is the size of a huge page of amd64.
type HugePageSize string

// The sizes; the first is that there are none.
const (
	HugePageSizeNone HugePageSize = "0MB"
	HugePageSize2MB  HugePageSize = "2MB"
	HugePageSize1GB  HugePageSize = "1GB"
)

// Enum lists the sizes.
func (HugePageSize) Enum() []string {
	return []string{string(HugePageSizeNone), string(HugePageSize2MB), string(HugePageSize1GB)}
}

// THP is a setting of transparent huge pages.
type THP string

// Enum lists the settings.
func (THP) Enum() []string { return []string{"never", "madvise", "always"} }

// DiskClass is a kind of disk.
type DiskClass string

// The kinds of disks; any is one of the others.
const (
	DiskClassAny        DiskClass = "any"
	DiskClassRotational DiskClass = "rotational"
	DiskClassSSD        DiskClass = "ssd"
	DiskClassNVMe       DiskClass = "nvme"
)

// Enum lists the kinds.
func (DiskClass) Enum() []string {
	return []string{string(DiskClassAny), string(DiskClassRotational), string(DiskClassSSD), string(DiskClassNVMe)}
}

// Scheduler is a scheduler of the multi-queue block layer.
type Scheduler string

// Enum lists the schedulers.
func (Scheduler) Enum() []string { return []string{"mq-deadline", "none", "bfq", "kyber"} }

// Protocol is a protocol with ports.
type Protocol string

// Enum lists the protocols.
func (Protocol) Enum() []string { return []string{"tcp", "udp"} }

// Filesystem is what a disk is formatted with.
type Filesystem string

// Enum lists the file systems.
func (Filesystem) Enum() []string { return []string{"ext4", "xfs"} }

// BondMode is how the interfaces of a bond share the work.
type BondMode string

// Enum lists the modes of the kernel's bonding driver.
func (BondMode) Enum() []string {
	return []string{"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"}
}

// HashPolicy is what a bond spreads packets by.
type HashPolicy string

// Enum lists the policies.
func (HashPolicy) Enum() []string {
	return []string{"layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"}
}

// LACPRate is how often 802.3ad asks its partner.
type LACPRate string

// Enum lists the rates.
func (LACPRate) Enum() []string { return []string{"slow", "fast"} }

// KeyType is a kind of key of a certificate.
type KeyType string

// The kinds of keys.
const (
	KeyTypeECDSA KeyType = "ecdsa-p256"
	KeyTypeRSA   KeyType = "rsa-4096"
)

// Enum lists the kinds.
func (KeyType) Enum() []string { return []string{string(KeyTypeECDSA), string(KeyTypeRSA)} }

// Seconds is a whole number of seconds, as Patroni writes its times.
type Seconds int

// Duration is s as Go counts time.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// Wanted says how seconds are written.
func (Seconds) Wanted() string { return "a whole number of seconds, such as 30" }

// Size is a number of bytes, written as PostgreSQL writes sizes: a unit of 1024 is
// kB, the next MB, then GB and TB.
type Size int64

var (
	sizeText  = regexp.MustCompile(`^(0|[1-9][0-9]*)(B|kB|MB|GB|TB)$`)
	sizeUnits = map[string]int64{"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
)

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	parts := sizeText.FindStringSubmatch(string(text))
	if parts == nil {
		return errors.New("no size")
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	unit := sizeUnits[parts[2]]
	if err != nil || n > math.MaxInt64/unit {
		return errors.New("too large")
	}
	*s = Size(n * unit)
	return nil
}

// String is the size in the largest unit that has it whole.
func (s Size) String() string {
	for _, unit := range []string{"TB", "GB", "MB", "kB"} {
		if n := sizeUnits[unit]; s != 0 && int64(s)%n == 0 {
			return fmt.Sprintf("%d%s", int64(s)/n, unit)
		}
	}
	return fmt.Sprintf("%dB", int64(s))
}

// MarshalText writes what String returns.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Wanted says how a size is written.
func (Size) Wanted() string { return "a size with its unit, such as 2048MB or 2GB" }

// Pattern is the form of a size.
func (Size) Pattern() string { return sizeText.String() }

// UUID is a universally unique identifier in lower case, or "" for none.
type UUID string

var uuidText = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// UnmarshalText reads a UUID in either case.
func (u *UUID) UnmarshalText(text []byte) error {
	if !uuidText.Match(text) {
		return errors.New("no UUID")
	}
	*u = UUID(strings.ToLower(string(text)))
	return nil
}

// Wanted says how a UUID is written.
func (UUID) Wanted() string { return "a UUID, such as 4c4c4544-0051-3510-8052-b4c04f4a3432" }

// Pattern is the form of a UUID.
func (UUID) Pattern() string { return uuidText.String() }

// HAProxyTime is a time as HAProxy writes it, without the microseconds that HAProxy 2.2
// does not take in a timeout.
type HAProxyTime string

var haproxyTime = regexp.MustCompile(`^[1-9][0-9]{0,8}(ms|s|m|h|d)$`)

// duration is the time; a longer one than Go has is the longest of those.
func (t HAProxyTime) duration() time.Duration {
	text := string(t)
	number := strings.TrimRight(text, "mshd")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return 0 // it is none, which was noted
	}
	unit := map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[text[len(number):]]
	if time.Duration(n) > math.MaxInt64/max(unit, 1) {
		return math.MaxInt64
	}
	return time.Duration(n) * unit
}

// UnmarshalText reads a time.
func (t *HAProxyTime) UnmarshalText(text []byte) error {
	if !haproxyTime.Match(text) {
		return errors.New("no time")
	}
	*t = HAProxyTime(text)
	return nil
}

// Wanted says how a time is written.
func (HAProxyTime) Wanted() string { return "a time with its unit (ms, s, m, h, d), such as 60m" }

// Pattern is the form of a time.
func (HAProxyTime) Pattern() string { return haproxyTime.String() }

// PortRange is one port, or the first and the last of several.
type PortRange struct{ First, Last uint16 }

var portRange = regexp.MustCompile(`^([1-9][0-9]{0,4})(-([1-9][0-9]{0,4}))?$`)

// UnmarshalText reads "10050" and "6000-6010".
func (p *PortRange) UnmarshalText(text []byte) error {
	parts := portRange.FindStringSubmatch(string(text))
	if parts == nil {
		return errors.New("no port")
	}
	first, err := strconv.ParseUint(parts[1], 10, 16)
	if err != nil {
		return err
	}
	last := first
	if parts[3] != "" {
		if last, err = strconv.ParseUint(parts[3], 10, 16); err != nil {
			return err
		}
	}
	if last < first {
		return errors.New("the last port comes before the first")
	}
	*p = PortRange{uint16(first), uint16(last)}
	return nil
}

// String is what UnmarshalText reads.
func (p PortRange) String() string {
	if p.First == p.Last {
		return strconv.Itoa(int(p.First))
	}
	return fmt.Sprintf("%d-%d", p.First, p.Last)
}

// MarshalText writes what String returns.
func (p PortRange) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Wanted says how a range is written.
func (PortRange) Wanted() string { return "a port from 1 to 65535, or a range such as 6000-6010" }

// Pattern is the form of a range.
func (PortRange) Pattern() string { return portRange.String() }

package node

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"banyan/seeds"
)

//go:generate go test -run ^TestReferenceOfParameters$ . -update

// sizing is what parameters are sized from. What is unknown is 0 or "".
type sizing struct {
	memory            int64 // bytes
	cpus              int
	class             seeds.DiskClass // of the disk that the data is on
	walSize, dataSize int64           // bytes of the file systems that have the WAL and the data
	version           int             // PostgreSQL's major version
	hugePage          seeds.HugePageSize
	timezone          string
	statsTemp         string // directory of statistics on a tmpfs; "" for none
}

// parameter is a row of [parameters]: what a parameter is set to, and why.
type parameter struct {
	name        string
	value       any    // int, float64 or string; nil where there is a rule
	rule        rule   // computes the value
	words       string // the rule, or what a value is for, for a person
	source      string // an address, or "" for pgsql_cluster, the playbook that Banyan replaces
	first, last int    // major versions of PostgreSQL that know it; 0 is no limit
	own         bool   // the node's own, since it depends on the machine; else the cluster's
	base        int64  // bytes that 1 stands for without a unit; 0 where it is no size
	twin        string // another parameter, which Patroni turns into this one
}

// rule computes a value from the machine and from the parameters above its own in the
// table. It returns nil where the parameter is left out.
type rule func(sizing, settings) any

// settings are the numbers that will be in force, sizes in bytes.
type settings map[string]int64

const (
	mb = int64(1) << 20
	gb = int64(1) << 30

	// memoryStep is what memory is rounded down to: two kernels, or two servers of one
	// kind, differ by less in what they leave of it.
	memoryStep = 64 * mb
	// walSegment is the size of a segment of the WAL, which initdb is not told to change.
	walSegment = 16 * mb
)

// computedParameters are PostgreSQL's parameters by the rules of [parameters]: those that
// the cluster shares and Patroni keeps in the DCS, and those that the node has as its own;
// and of them all the numbers that will be in force.
//
// What the seed gives is in neither of the first two. A rule that rests on it sees the given value, or, as
// PostgreSQL would refuse what is no number, the one that would have been computed.
func computedParameters(z sizing, given map[string]any) (cluster, own map[string]any, inForce settings) {
	z.memory -= z.memory % memoryStep
	wanted := map[string]any{}
	for name, value := range given {
		wanted[strings.ToLower(name)] = value // to PostgreSQL and to Patroni both are the same
	}
	cluster, own, inForce = map[string]any{}, map[string]any{}, settings{}
	for _, p := range parameters {
		if !p.knownTo(z.version) {
			continue
		}
		value := p.value
		if p.rule != nil {
			value = p.rule(z, inForce)
		}
		inForce.note(p, value)
		if given, ok := wanted[p.name]; ok {
			inForce.note(p, given)
			continue
		}
		if _, ok := wanted[p.twin]; ok || value == nil {
			continue
		}
		if p.own {
			own[p.name] = value
		} else {
			cluster[p.name] = value
		}
	}
	return cluster, own, inForce
}

// knownTo tells whether a major version of PostgreSQL has the parameter.
func (p parameter) knownTo(version int) bool {
	return version >= p.first && (p.last == 0 || version <= p.last)
}

// note keeps a value that a rule can count with: no rule can with 0 or less.
func (s settings) note(p parameter, value any) {
	if n, ok := number(value, p.base); ok && n > 0 {
		s[p.name] = n
	}
}

var (
	// numberForm is a number of C, which may be hexadecimal, and a unit of memory.
	numberForm  = regexp.MustCompile(`^\s*([+-]?(?:0[xX][0-9A-Fa-f]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))\s*(B|kB|MB|GB|TB)?\s*$`)
	memoryUnits = map[string]int64{"B": 1, "kB": 1 << 10, "MB": mb, "GB": gb, "TB": 1 << 40}
)

// number reads a whole number as PostgreSQL does, and a size, of which 1 without a unit
// is base bytes, in bytes. It is false for what PostgreSQL would not take.
// https://www.postgresql.org/docs/current/config-setting.html#CONFIG-SETTING-NAMES-VALUES
func number(value any, base int64) (int64, bool) {
	parts := numberForm.FindStringSubmatch(fmt.Sprint(value))
	if parts == nil || parts[2] != "" && base == 0 {
		return 0, false
	}
	var n float64
	if whole, err := strconv.ParseInt(parts[1], 0, 64); err == nil { // 010 is 8 here as in C
		n = float64(whole)
	} else if n, err = strconv.ParseFloat(parts[1], 64); err != nil || !strings.ContainsAny(parts[1], ".eE") {
		return 0, false
	}
	base = max(base, 1)
	if parts[2] != "" {
		n = n * float64(memoryUnits[parts[2]]) / float64(base)
	}
	n = math.RoundToEven(n)
	if n < math.MinInt32 || n > math.MaxInt32 { // PostgreSQL counts in int
		return 0, false
	}
	return int64(n) * base, true
}

// size is a number of bytes as PostgreSQL writes it.
func size(bytes int64) string { return seeds.Size(bytes).String() }

// Rules for memory. A connection may take work_mem several times over, but hardly ever do
// all connections: half of what shared_buffers leave is theirs, and the rest caches files.

func sharedBuffers(z sizing, _ settings) any { return size(max(z.memory/4, 128*mb)) }

func workMem(z sizing, s settings) any {
	fits := (z.memory - s["shared_buffers"]) / 2 / s["max_connections"]
	return size(max(min(z.memory/64, fits)/mb*mb, 4*mb))
}

func maintenanceWorkMem(_ sizing, s settings) any {
	return size(min(max(s["work_mem"]/mb*mb*4, 64*mb), 2*gb))
}

func effectiveCacheSize(z sizing, s settings) any {
	return size(max((z.memory-s["shared_buffers"])/mb*mb, 128*mb))
}

// hugePageSize is given for pages that are not the kernel's own choice on amd64, 2 MB.
func hugePageSize(z sizing, _ settings) any {
	if pageSize[z.hugePage] == 0 {
		return nil
	}
	return string(z.hugePage)
}

// Rules for disks. A disk that is not known is taken for a slow one.

func randomPageCost(z sizing, _ settings) any {
	switch z.class {
	case seeds.DiskClassSSD:
		return 1.1
	case seeds.DiskClassNVMe:
		return 1.0
	}
	return 2.0
}

func effectiveIOConcurrency(z sizing, _ settings) any {
	if z.class == seeds.DiskClassSSD || z.class == seeds.DiskClassNVMe {
		return 200
	}
	return 4
}

// Rules for the WAL. By these limits it never takes more than about a fifth of its
// file system, so that a small disk is not filled by configuration alone.

func maxWALSize(z sizing, _ settings) any { return size(z.walShare(8*gb, 10, 2)) }

func minWALSize(z sizing, _ settings) any { return size(z.walShare(2*gb, 40, 2)) }

func walKeepSize(z sizing, _ settings) any { return size(z.walShare(8*gb, 10, 1)) }

func walKeepSegments(z sizing, _ settings) any { return int(z.walShare(8*gb, 10, 1) / walSegment) }

// walShare is what is wanted, but in whole segments no more than a part of the file
// system that has the WAL, and no less than the segments that PostgreSQL needs.
func (z sizing) walShare(wanted, part, least int64) int64 {
	space := z.walSize
	if space == 0 {
		space = z.dataSize // the WAL is below the data, unless it is given a place
	}
	if space == 0 {
		return wanted
	}
	return max(min(wanted, space/part/walSegment*walSegment), least*walSegment)
}

// Rules for the rest.

func autovacuumMaxWorkers(z sizing, _ settings) any { return min(max(z.cpus/2, 4), 10) }

func timezone(z sizing, _ settings) any { return givenText(z.timezone) }

func statsTempDirectory(z sizing, _ settings) any { return givenText(z.statsTemp) }

func givenText(text string) any {
	if text == "" {
		return nil
	}
	return text
}

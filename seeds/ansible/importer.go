package ansible

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// importer is an import on its way.
type importer struct {
	in        Input
	inventory *inventory
	*resolver
	order []variable // all that count, in the order of the files
	*cluster
	report Report
	seen   map[string]bool // variables that the report has
	warned map[string]bool // those of which it says that they cannot be used
	nodes  []*node
	dcs    string
}

// read reads the variables of all files and of the inventory. What files say counts
// before all that the inventory says, as vars_files do in the playbook.
func (im *importer) read() error {
	all := map[string]variable{}
	for _, v := range slices.Backward(im.inventory.groups["all"].vars) {
		all[v.name] = variable{name: v.name, at: v.at, text: v.text}
	}
	for _, v := range im.agreed() {
		if old, twice := all[v.name]; twice {
			im.note(&im.report.Changed, v.name, old.at, "", fmt.Sprintf("%s says it again, which counts", v.at))
		}
		all[v.name] = v
	}
	for _, f := range im.in.Vars {
		variables, err := readVariables(f)
		if err != nil {
			return err
		}
		for _, v := range variables {
			if old, twice := all[v.name]; twice {
				im.note(&im.report.Changed, v.name, old.at, "", fmt.Sprintf("%s says it again, which counts", v.at))
			}
			all[v.name] = v
		}
	}
	im.resolver = newResolver(all, im.inventory)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		im.order = append(im.order, all[name])
	}
	return nil
}

// agreed are the variables that the inventory says of all hosts with PostgreSQL alike,
// though not of all hosts: they are the cluster's.
func (im *importer) agreed() []variable {
	hosts := im.databases()
	if len(hosts) == 0 {
		return nil
	}
	var variables []variable
	for i, v := range hosts[0].vars {
		first := slices.IndexFunc(hosts[0].vars, func(other hostVar) bool { return other.name == v.name }) == i
		alike := !slices.ContainsFunc(hosts, func(h *host) bool {
			said, ok := h.lookup(v.name)
			return !ok || said.text != v.text
		})
		if first && alike && v.group != "all" && hostVariables[v.name] == "" {
			variables = append(variables, variable{name: v.name, at: v.at, text: v.text})
		}
	}
	return variables
}

// files are the names of all files in the order of the report.
func (im *importer) files() []string {
	var names []string
	for _, f := range im.in.Vars {
		names = append(names, f.Name)
	}
	return append(names, im.in.Inventory.Name)
}

// note adds a line to a list of the report.
func (im *importer) note(entries *[]Entry, variable string, at place, key, note string) {
	*entries = append(*entries, Entry{printable(variable), printable(at.String()), printable(key), printable(note), at})
	im.seen[variable] = true
}

// printable is text that does a terminal no harm.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, s)
}

func (im *importer) needed(from origin, key, format string, args ...any) {
	im.note(&im.report.Needed, from.variable, from.at, key, fmt.Sprintf(format, args...))
}

func (im *importer) changed(from origin, key, format string, args ...any) {
	im.note(&im.report.Changed, from.variable, from.at, key, fmt.Sprintf(format, args...))
}

func (im *importer) none(from origin, format string, args ...any) {
	im.note(&im.report.None, from.variable, from.at, "", fmt.Sprintf(format, args...))
}

func (im *importer) missing(variable string, at place, format string, args ...any) {
	im.note(&im.report.Missing, variable, at, "", fmt.Sprintf(format, args...))
}

// set gives a key of the cluster file a value.
func (im *importer) set(from origin, v *yaml.Node, keys ...string) {
	im.cluster.set(im.root, from, v, keys...)
}

// find is a variable, or a member of one such as dnscp.ttl. One that cannot be resolved
// is reported once and counts as not there; null is not there either.
func (im *importer) find(path string) (value, bool) {
	name, rest, nested := strings.Cut(path, ".")
	v, ok := im.lookup(name)
	for nested && ok && v.kind == mapping {
		name, rest, nested = strings.Cut(rest, ".")
		v, ok = v.member(name)
	}
	if !ok || v.kind == null {
		return value{}, false
	}
	if v.kind == unresolved {
		im.unusable(path, v)
		return value{}, false
	}
	return v, true
}

// unusable reports, once, a variable that cannot be resolved.
func (im *importer) unusable(path string, v value) {
	name, _, _ := strings.Cut(path, ".")
	at := im.variables[name].at
	why := ""
	if v.at != at {
		why = fmt.Sprintf(" (%s)", v.at)
	}
	im.warn(origin{path, at}, "cannot be resolved: %s%s", v.text, why)
}

// warn is needed for what more than one part of the import may find.
func (im *importer) warn(from origin, format string, args ...any) {
	if !im.warned[from.variable] {
		im.needed(from, "", format, args...)
		im.warned[from.variable] = true
	}
}

// word is a variable that is a single value, or "" where it is not there.
func (im *importer) word(path string) string {
	v, ok := im.find(path)
	if ok && v.kind != scalar {
		im.warn(origin{path, v.at}, "expected a single value")
	}
	return v.text
}

// yes tells whether a variable is true in the eyes of Ansible's filter bool.
func (im *importer) yes(path string) bool {
	b, _ := truth(im.word(path))
	return b
}

func truth(s string) (is, ok bool) {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "1", "y", "t":
		return true, true
	case "false", "no", "off", "0", "n", "f":
		return false, true
	}
	return false, false
}

// number is a whole number as YAML writes it.
func number(s string) (*yaml.Node, error) {
	i, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("expected a whole number")
	}
	return bare(strconv.FormatInt(i, 10)), nil
}

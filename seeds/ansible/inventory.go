package ansible

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// inventory is an inventory file in Ansible's INI format:
// https://docs.ansible.com/ansible/latest/collections/ansible/builtin/ini_inventory.html
type inventory struct {
	hosts  []*host // in the order of the file
	groups map[string]*group
}

// host is a line of the inventory with all that its groups say of it.
type host struct {
	name string
	at   place
	vars []hostVar // its own first, then those of its groups; all:vars last
	in   []string  // its groups, and those that these are children of
}

// hostVar is a variable of a host or a group, as it is written.
type hostVar struct {
	name, text string
	at         place
	group      string // that it is said of, or "" for a host
}

type group struct {
	hosts    []*host
	children []*child
	vars     []hostVar
}

type child struct {
	name string
	at   place
}

// maxHosts bounds what ranges make.
const maxHosts = 1000

// readInventory reads strictly what Ansible's own reader takes: the error has the
// line of what is wrong and nothing that it says, which may be a password.
func readInventory(f File) (*inventory, error) {
	if err := checkText(f); err != nil {
		return nil, err
	}
	inv := &inventory{groups: map[string]*group{"all": {}, "ungrouped": {}}}
	section, what := "ungrouped", "hosts"
	for i, line := range strings.Split(string(f.Data), "\n") {
		at := place{f.Name, i + 1}
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		var err error
		if parts := sectionForm.FindStringSubmatch(line); parts != nil {
			section, what = parts[1], parts[2]
			if what == "" {
				what = "hosts"
			}
			if inv.groups[section] == nil {
				inv.groups[section] = &group{}
			}
			continue
		}
		switch what {
		case "hosts":
			err = inv.addHosts(section, line, at)
		case "vars":
			err = inv.addVar(section, line, at)
		case "children":
			name, _, _ := strings.Cut(line, "#")
			inv.groups[section].children = append(inv.groups[section].children, &child{strings.TrimSpace(name), at})
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
	}
	return inv, inv.inherit()
}

var (
	sectionForm = regexp.MustCompile(`^\[([^:\]\s]+)(?::(children|vars))?\]\s*(?:[#;].*)?$`)
	// noSection looks like the head of a section and is none.
	noSection = regexp.MustCompile(`^\[[^:\]\s]+(:\w*\]\s*([#;].*)?|[^:\]]*)$`)
	hostForm  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._:-]*$|^::`)
	portForm  = regexp.MustCompile(`^([^:]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})$`)
	rangeForm = regexp.MustCompile(`\[([0-9]+|[A-Za-z]):([0-9]+|[A-Za-z])(?::([0-9]+))?\]`)
)

func (inv *inventory) addHosts(section, line string, at place) error {
	words, err := splitWords(line)
	switch {
	case err != nil:
		return err
	case len(words) == 0:
		return nil
	case noSection.MatchString(line):
		return fmt.Errorf("this is not the head of a section: write [NAME], [NAME:children] or [NAME:vars]")
	}
	var vars []hostVar
	pattern := words[0]
	if parts := portForm.FindStringSubmatch(rangeForm.ReplaceAllString(pattern, "x")); parts != nil {
		pattern = strings.TrimSuffix(pattern, ":"+parts[2])
		vars = append(vars, hostVar{name: "ansible_port", text: parts[2], at: at})
	}
	for i, word := range words[1:] {
		name, text, found := strings.Cut(word, "=")
		if !found || name == "" {
			return fmt.Errorf("word %d after the host is not NAME=VALUE; a value with spaces needs quotes", i+1)
		}
		vars = append(vars, hostVar{name: name, text: literal(text), at: at})
	}
	names, err := expand(pattern)
	if err != nil {
		return err
	}
	for _, name := range names {
		name = strings.Trim(name, "[]") // of an address of IPv6
		if !hostForm.MatchString(name) {
			return fmt.Errorf("this is neither a host nor the head of a section, [NAME], [NAME:children] or [NAME:vars]")
		}
		h := inv.host(name)
		if h == nil {
			if len(inv.hosts) == maxHosts {
				return fmt.Errorf("there are more than %d hosts", maxHosts)
			}
			h = &host{name: name, at: at}
			inv.hosts = append(inv.hosts, h)
		}
		h.vars = append(slices.Clone(vars), h.vars...) // the later line counts
		if g := inv.groups[section]; !slices.Contains(g.hosts, h) {
			g.hosts = append(g.hosts, h)
		}
	}
	return nil
}

func (inv *inventory) addVar(section, line string, at place) error {
	name, text, found := strings.Cut(line, "=")
	name = strings.TrimSpace(name)
	if !found || name == "" {
		return fmt.Errorf("expected NAME=VALUE in [%s:vars]", section)
	}
	g := inv.groups[section]
	g.vars = append([]hostVar{{name, literal(strings.TrimSpace(text)), at, section}}, g.vars...)
	return nil
}

// host is the host of that name, or nil.
func (inv *inventory) host(name string) *host {
	for _, h := range inv.hosts {
		if h.name == name {
			return h
		}
	}
	return nil
}

// members are the hosts of a group and of its children, in the order of the file.
func (inv *inventory) members(name string) []*host {
	var members []*host
	for _, h := range inv.hosts {
		if slices.Contains(h.in, name) {
			members = append(members, h)
		}
	}
	return members
}

// inherit gives each host the groups that it is in and their variables: those of a
// group before those of the groups that this one is a child of.
func (inv *inventory) inherit() error {
	parents := map[string][]string{}
	for name, g := range inv.groups {
		for _, c := range g.children {
			if inv.groups[c.name] == nil {
				return fmt.Errorf("%s: there is no group of that name", c.at)
			}
			parents[c.name] = append(parents[c.name], name)
		}
	}
	for _, list := range parents {
		slices.Sort(list)
	}
	for _, h := range inv.hosts {
		var direct []string
		for name, g := range inv.groups {
			if slices.Contains(g.hosts, h) {
				direct = append(direct, name)
			}
		}
		slices.Sort(direct)
		h.in = direct
		for i := 0; i < len(h.in); i++ { // it grows; each group comes once, cycles or not
			for _, parent := range parents[h.in[i]] {
				if !slices.Contains(h.in, parent) {
					h.in = append(h.in, parent)
				}
			}
		}
		h.in = append(slices.DeleteFunc(h.in, func(name string) bool { return name == "all" }), "all")
		for _, name := range h.in {
			h.vars = append(h.vars, inv.groups[name].vars...)
		}
	}
	return nil
}

// lookup is a variable of a host; what is nearer to the host counts.
func (h *host) lookup(name string) (hostVar, bool) {
	i := slices.IndexFunc(h.vars, func(v hostVar) bool { return v.name == name })
	if i < 0 {
		return hostVar{}, false
	}
	return h.vars[i], true
}

// expand writes out the ranges of a host's name: n[01:03], n[a:c] and n[1:9:2].
func expand(pattern string) ([]string, error) {
	where := rangeForm.FindStringSubmatchIndex(pattern)
	if where == nil {
		return []string{pattern}, nil
	}
	part := func(i int) string {
		if where[2*i] < 0 {
			return ""
		}
		return pattern[where[2*i]:where[2*i+1]]
	}
	members, err := count(part(1), part(2), part(3))
	if err != nil {
		return nil, err
	}
	rest, err := expand(pattern[where[1]:])
	if err != nil {
		return nil, err
	}
	if len(members)*len(rest) > maxHosts {
		return nil, fmt.Errorf("the range makes more than %d hosts", maxHosts)
	}
	var names []string
	for _, member := range members {
		for _, tail := range rest {
			names = append(names, pattern[:where[0]]+member+tail)
		}
	}
	return names, nil
}

func count(first, last, step string) ([]string, error) {
	by := 1
	if step != "" {
		var err error
		if by, err = strconv.Atoi(step); err != nil || by == 0 {
			return nil, fmt.Errorf("the step of the range is not a number from 1")
		}
	}
	from, err := strconv.Atoi(first)
	to, lastErr := strconv.Atoi(last)
	written := func(i int) string { return fmt.Sprintf("%0*d", len(first), i) }
	switch {
	case err == nil && lastErr == nil:
		if first[0] != '0' {
			written = strconv.Itoa
		}
	case len(first) == 1 && len(last) == 1 && err != nil && lastErr != nil:
		from, to = int(first[0]), int(last[0])
		written = func(i int) string { return string(rune(i)) }
	default:
		return nil, fmt.Errorf("the range goes from a number to a letter, or has a number too large")
	}
	if to < from {
		return nil, fmt.Errorf("the range ends before it begins")
	}
	if (to-from)/by >= maxHosts {
		return nil, fmt.Errorf("the range makes more than %d hosts", maxHosts)
	}
	var all []string
	for i := from; i <= to; i += by {
		all = append(all, written(i))
	}
	return all, nil
}

// splitWords parts a host's line as Python's shlex does: at white space that is not
// quoted, up to a "#".
func splitWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	begun := false
	end := func() {
		if begun {
			words = append(words, word.String())
		}
		word.Reset()
		begun = false
	}
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case ' ', '\t', '\r', '\v', '\f':
			end()
		case '#':
			end()
			return words, nil
		case '\\':
			if i++; i == len(line) {
				return nil, fmt.Errorf("the line ends in a backslash")
			}
			word.WriteByte(line[i])
			begun = true
		case '"', '\'':
			length := strings.IndexByte(line[i+1:], c)
			if length < 0 {
				return nil, fmt.Errorf("a quote is not closed")
			}
			word.WriteString(line[i+1 : i+1+length])
			i += length + 1
			begun = true
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	end()
	return words, nil
}

var pythonText = regexp.MustCompile(`^(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*(?:#.*)?$`)
var pythonNumber = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s+#.*$`)

// literal is a value as Ansible takes it: what reads as text or a number of Python is
// that, a comment after it included; all else is itself to the end of the line.
func literal(text string) string {
	if parts := pythonText.FindStringSubmatch(text); parts != nil {
		return strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\"`, `"`).Replace(parts[1] + parts[2])
	}
	if parts := pythonNumber.FindStringSubmatch(text); parts != nil {
		return parts[1]
	}
	return text
}

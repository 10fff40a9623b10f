package ansible

import (
	"regexp"
	"slices"
	"strings"
)

// templateMark begins a reference, a statement or a comment.
var templateMark = regexp.MustCompile(`\{[{%#]`)

// template is text with its references resolved, the part of Jinja that variables
// are written with: https://jinja.palletsprojects.com/en/stable/templates/
func (r *resolver) template(text string, at place) value {
	if !r.spend(len(text)) {
		return cannot(at, "values are nested too deep, or repeated too often")
	}
	var out strings.Builder
	for rest, whole := text, true; ; whole = false {
		mark := templateMark.FindStringIndex(rest)
		if mark == nil {
			out.WriteString(rest)
			return value{kind: scalar, at: at, text: out.String()}
		}
		start := mark[0]
		out.WriteString(rest[:start])
		rest = rest[start:]
		switch rest[1] {
		case '%':
			return cannot(at, "statements of Jinja, {%% %%}, are not read")
		case '#':
			_, after, closed := strings.Cut(rest, "#}")
			if !closed {
				return cannot(at, "a comment of Jinja is not closed")
			}
			rest = after
			continue
		}
		v, length, err := r.expression(rest[2:], at)
		if err != nil {
			if length == 0 {
				return cannot(at, "%v", err)
			}
			return cannot(at, "%s: %v", shownExpression(rest[:2+length]), err)
		}
		rest = rest[2+length:]
		if v.kind == unresolved {
			return v
		}
		if whole && start == 0 && rest == "" {
			v.at = at
			return v
		}
		switch v.kind {
		case list, mapping:
			return cannot(at, "a list or keys with values stand within text")
		case scalar:
			out.WriteString(v.text)
		}
		if !r.spend(out.Len()) {
			return cannot(at, "values are nested too deep, or repeated too often")
		}
	}
}

var (
	secretWord = regexp.MustCompile(`(?i)(pass|pwd|secret|key|token|cred|proxy)`)
	quotedText = regexp.MustCompile(`(\[\s*)?('[^']*'|"[^"]*")`)
)

// shownExpression is an expression as a report may show it. What is written out in it
// may be a password, unless it picks a member.
func shownExpression(text string) string {
	return shown(quotedText.ReplaceAllStringFunc(text, func(quoted string) string {
		if quoted[0] == '[' && !secretWord.MatchString(quoted) {
			return quoted
		}
		return strings.TrimRight(quoted[:1], `'"`) + "'...'"
	}))
}

// shown is a value that is no secret, the beginning of a long one.
func shown(text string) string {
	const longest = 100
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	return text
}

// magic makes one of Ansible's own variables once.
func (r *resolver) magic(name string, make func() value) value {
	if _, ok := r.known[name]; !ok {
		r.known[name] = make()
	}
	return r.known[name]
}

// groups is Ansible's variable of that name: the hosts of each group.
func (r *resolver) groups() value {
	v := value{kind: mapping}
	for name := range r.inventory.groups {
		hosts := value{kind: list}
		for _, h := range r.inventory.members(name) {
			hosts.items = append(hosts.items, value{kind: scalar, at: h.at, text: h.name})
		}
		v.keys, v.items = append(v.keys, name), append(v.items, hosts)
	}
	return v
}

// hostvars is Ansible's variable of that name: what the inventory says of each host.
func (r *resolver) hostvars() value {
	v := value{kind: mapping}
	for _, h := range r.inventory.hosts {
		vars := value{kind: mapping, at: h.at}
		for _, said := range slices.Backward(h.vars) { // so that the nearest is the last
			vars.keys = append(vars.keys, said.name)
			vars.items = append(vars.items, value{kind: scalar, at: said.at, text: said.text, raw: true})
		}
		vars.keys = append(vars.keys, "inventory_hostname")
		vars.items = append(vars.items, value{kind: scalar, at: h.at, text: h.name})
		v.keys, v.items = append(v.keys, h.name), append(v.items, vars)
	}
	return v
}

package verify

import (
	"slices"
	"strings"
)

// HAProxy is what the node's HAProxy says of the members that it leads to.
type HAProxy struct {
	Err   error // it does not answer
	Lines []HAProxyLine
}

// HAProxyLine is a line of `show stat`: https://docs.haproxy.org/3.0/management.html#9.1
type HAProxyLine struct {
	Proxy  string // such as primary
	Server string // a member, FRONTEND or BACKEND
	Status string // such as "UP", "UP 1/3", "DOWN", "OPEN"
	Check  string // of the last check, such as L7OK, L4CON or L6RSP
}

func (l HAProxyLine) up() bool { return strings.HasPrefix(l.Status, "UP") }

// unchecked tells whether the member could not be asked what it is. A member that
// answers that it is something else has another code (L7STS).
func (l HAProxyLine) unchecked() bool {
	check := strings.TrimPrefix(l.Check, "* ") // while the next one goes on
	return check != "" && check != "INI" && check != "L7OK" && check != "L7STS"
}

func checkHAProxy(f Facts) []Check {
	if f.HAProxy == nil {
		return nil
	}
	const log = "systemctl status haproxy; journalctl -b -u haproxy"
	v, c := begin("HAProxy"), f.Cluster
	if f.HAProxy.Err != nil {
		v.fail(log, "it does not answer: %v", f.HAProxy.Err)
		return v.end("")
	}
	up := map[string][]string{} // the members that each proxy leads to
	for _, l := range f.HAProxy.Lines {
		switch {
		case l.Server == "BACKEND":
		case l.Server == "FRONTEND" && l.Status != "OPEN":
			v.fail(log, "the port of %s is %s", l.Proxy, l.Status)
		case l.up():
			up[l.Proxy] = append(up[l.Proxy], l.Server)
		case l.unchecked():
			if n, ours := c.of(l.Server); ours && n.Err == nil { // else it is that one which is wrong
				v.fail(log, "%s cannot be asked for %s: %s", l.Server, l.Proxy, l.Check)
			}
		}
	}
	if leader := c.leader(); c.Err == nil && leader != "" && !slices.Equal(up["primary"], []string{leader}) {
		v.fail(log, "the port of the primary leads to %s, and the leader is %s", named(up["primary"]), leader)
	}
	var replicas []string
	for _, m := range c.All.Members {
		hidden, _ := m.Tags["noloadbalance"].(bool)
		if !m.Leads() && m.Works() && !hidden {
			replicas = append(replicas, m.Name)
			if !slices.Contains(up["replicas"], m.Name) {
				v.warn(log, "the port of the replicas does not lead to %s", m.Name)
			}
		}
	}
	return v.end("the port of the primary leads to %s, that of the replicas to %s", named(up["primary"]), named(replicas))
}

func named(members []string) string {
	if len(members) == 0 {
		return "nobody"
	}
	return strings.Join(members, ", ")
}

package verify

import (
	"slices"
	"strings"

	"banyan/internal/check"
	"banyan/internal/patroni"
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

// turns tells whether the member has not been asked yet, or the last answer was another
// than those before, so that it is about to come or to go: "UP 1/3", "DOWN 1/2".
func (l HAProxyLine) turns() bool {
	return strings.Contains(l.Status, "/") || strings.TrimPrefix(l.Check, "* ") == "INI"
}

// unchecked tells whether the member could not be asked what it is. A member that
// answers that it is something else has another code (L7STS).
func (l HAProxyLine) unchecked() bool {
	check := strings.TrimPrefix(l.Check, "* ") // while the next one goes on
	return check != "" && check != "INI" && check != "L7OK" && check != "L7STS"
}

func checkHAProxy(f Facts) []check.Check {
	if f.HAProxy == nil {
		return nil
	}
	const log = "systemctl status haproxy; journalctl -b -u haproxy"
	v, c := check.Begin("HAProxy"), f.Cluster
	if f.HAProxy.Err != nil {
		v.Fail(log, "it does not answer: %v", f.HAProxy.Err)
		return v.End("")
	}
	up, turning := map[string][]string{}, map[string][]string{} // the members that each proxy leads to, or begins or ends to
	for _, l := range f.HAProxy.Lines {
		if l.turns() {
			turning[l.Proxy] = append(turning[l.Proxy], l.Server)
		}
		switch {
		case l.Server == "BACKEND":
		case l.Server == "FRONTEND" && l.Status != "OPEN":
			v.Fail(log, "the port of %s is %s", l.Proxy, l.Status)
		case l.up():
			up[l.Proxy] = append(up[l.Proxy], l.Server)
		case l.unchecked():
			if n, ours := c.of(l.Server); ours && n.Err == nil { // else it is that one which is wrong
				v.Fail(log, "%s cannot be asked for %s: %s", l.Server, l.Proxy, l.Check)
			}
		}
	}
	switch leader := c.leader(); {
	case c.Err != nil: // nobody tells whom they are to lead to
	case c.Config.Follows():
		if len(up["primary"]) > 0 {
			v.Fail(log, "the port of the primary leads to %s, and nobody takes writes in a standby cluster", named(up["primary"]))
		}
	case leader != "" && !slices.Equal(up["primary"], []string{leader}):
		v.Fail(log, "the port of the primary leads to %s, and the leader is %s", named(up["primary"]), leader)
	}
	for _, port := range replicaPorts {
		for _, m := range c.All.Members {
			if n, ours := c.of(m.Name); !ours || n.Err != nil || !m.Works() || slices.Contains(turning[port.proxy], m.Name) {
				continue // which is told elsewhere, or about to be right
			}
			hidden, _ := m.Tags["noloadbalance"].(bool)
			switch wanted, leads := !m.Leads() && !hidden && port.is(m), slices.Contains(up[port.proxy], m.Name); {
			case wanted && !leads:
				v.Warn(log, "the port of the %s does not lead to %s", port.who, m.Name)
			case leads && !wanted:
				v.Warn(log, "the port of the %s leads to %s, and should not", port.who, m.Name)
			}
		}
	}
	return v.End("the port of the primary leads to %s, that of the replicas to %s", named(up["primary"]), named(up["replicas"]))
}

// replicaPorts are those that members are read from by, and whom each is to lead to: as
// GET /replica, /sync or /quorum, and /async of Patroni answer.
// https://patroni.readthedocs.io/en/latest/rest_api.html#health-check-endpoints
var replicaPorts = []struct {
	proxy, who string
	is         func(patroni.Member) bool
}{
	{"replicas", "replicas", func(patroni.Member) bool { return true }},
	{"replicas_sync", "synchronous standbys", patroni.Member.SyncStandby},
	{"replicas_async", "asynchronous replicas", func(m patroni.Member) bool { return !m.SyncStandby() }},
}

func named(members []string) string {
	if len(members) == 0 {
		return "nobody"
	}
	return strings.Join(members, ", ")
}

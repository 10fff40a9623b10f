//go:build lab

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"banyan/internal/check"
	"banyan/internal/verify"
)

// verify runs `firstboot verify`, and returns what it found but for the disks, which are
// this machine's. Its exit code has to be that of its state.
func (n *node) verify(ctx context.Context) (verify.Result, error) {
	var r verify.Result
	out, err := n.container.run(ctx, "code=0; firstboot verify --json || code=$?; echo $code")
	if err != nil {
		return r, err
	}
	text, code, _ := strings.Cut(strings.TrimSpace(out), "\n}\n")
	if err := json.Unmarshal([]byte(text+"}"), &r); err != nil {
		return r, fmt.Errorf("firstboot verify --json: %w: %s", err, out)
	}
	if code != strconv.Itoa(r.ExitCode()) {
		return r, fmt.Errorf("the state is %s, and the exit code %s", r.State, code)
	}
	r.Checks = slices.DeleteFunc(r.Checks, func(c check.Check) bool { return c.Name == "disk space" })
	return r, nil
}

// verified waits until all nodes find that, and nothing else, wrong with the cluster: states by the
// names of the checks.
func (c *cluster) verified(what string, nodes []*node, want map[string]check.State) {
	c.t.Helper()
	for _, n := range nodes {
		until(c.t, settleTime, func(ctx context.Context) error {
			r, err := n.verify(ctx)
			if err == nil {
				err = compare(r, want)
			}
			if err != nil {
				err = fmt.Errorf("%s, and %s finds: %w", what, n.name, err)
			}
			return err
		})
	}
}

// cannot are the checks of what a container does not have.
var cannot = []string{"clock", "huge pages", "watchdog"}

func compare(r verify.Result, want map[string]check.State) error {
	wrong := map[string]bool{}
	for _, c := range r.Checks {
		skipped := c.State == check.Skip && slices.Contains(cannot, c.Name)
		if c.State != check.OK && !skipped {
			wrong[c.Name] = true
		}
		if expected, told := want[c.Name]; told && expected != c.State || !told && wrong[c.Name] {
			return fmt.Errorf("%+v, want %s", c, expected)
		}
	}
	for name := range want {
		if !wrong[name] {
			return fmt.Errorf("no check %s in %s", name, r)
		}
	}
	return nil
}

// verifies wants `firstboot verify` to find nothing wrong with a cluster, then what is done
// to it, and then nothing again.
func (c *cluster) verifies() {
	c.t.Helper()
	c.verified("nothing was done", c.nodes, nil)
	leader, replica := c.leader(), c.databases()[0]
	if replica == leader {
		replica = c.databases()[1]
	}
	witness := c.node("pgsql-w1")

	leader.sh("echo 192.0.2.1 drift >>/etc/hosts")
	leader.exits(1, "firstboot verify")
	c.verified("a file was changed", []*node{leader}, map[string]check.State{"drift": check.Warn})
	leader.sh("firstboot")

	witness.sh("systemctl stop etcd.service")
	leader.exits(2, "firstboot verify")
	c.verified("a member of etcd was stopped", []*node{leader}, map[string]check.State{"etcd": check.Fail})
	c.verified("a member of etcd was stopped", []*node{witness}, map[string]check.State{"etcd": check.Fail, "units": check.Fail})
	witness.sh("systemctl start etcd.service")

	replica.sh("systemctl stop patroni.service")
	c.verified("a replica was stopped", []*node{witness}, map[string]check.State{"Patroni": check.Fail, "synchronous standby": check.Warn})
	replica.sh("systemctl start patroni.service")
	c.verified("all was undone", c.nodes, nil)
}

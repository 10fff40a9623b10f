//go:build lab

package lab

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// until asks every second until there is no error. After limit the test has failed, with
// the last error that is not of the limit itself.
func until(t testing.TB, limit time.Duration, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var last error
	if !poll(ctx, time.Second, func() bool {
		err := ask(ctx)
		if err != nil && (last == nil || ctx.Err() == nil) {
			last = err
		}
		return err == nil
	}) {
		t.Fatalf("after %v: %v", limit, last)
	}
}

// poll looks at once, and again and again, until it is done, or until the context ends: then it
// is false.
func poll(ctx context.Context, every time.Duration, look func() (done bool)) bool {
	again := time.NewTicker(every)
	defer again.Stop()
	for !look() {
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
	return true
}

// watch has something run beside the test until it is stopped, by the end of its context, or the
// test ends.
func (c *cluster) watch(run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	c.t.Cleanup(stop) // of a test that fails meanwhile
	return stop
}

// says waits until the status of a node has a text that the expression matches.
func (n *node) says(want string) {
	n.t.Helper()
	text := regexp.MustCompile(want)
	until(n.t, birthTime, func(ctx context.Context) error {
		out, err := n.container.run(ctx, "firstboot status || true")
		if got := strings.Join(strings.Fields(out), " "); err == nil && !text.MatchString(got) {
			err = fmt.Errorf("%s says\n%s\nand not %s", n.name, got, want)
		}
		return err
	})
}

// awaits waits until a script prints that.
func (n *node) awaits(what, script, want string) {
	n.t.Helper()
	until(n.t, checkTime, func(ctx context.Context) error {
		got, err := n.container.run(ctx, script+" 2>&1 || true")
		if err == nil && got != want {
			err = fmt.Errorf("%s: %s: %s prints %q, and not %q", n.name, what, script, got, want)
		}
		return err
	})
}

// list waits until the members of etcd, which all vote, and of Patroni are these.
func (c *cluster) list(when string, nodes []*node) {
	c.t.Helper()
	members := strings.Split(names(nodes), ", ")
	slices.Sort(members)
	want := "started " + strings.Join(members, "\nstarted ") + "\n" + strings.Join(members, "\n")
	until(c.t, settleTime, func(ctx context.Context) error {
		got, err := c.leader().container.run(ctx, `su --login --command 'etcdctl member list' | awk -F ', ' '$6 == "false" { print $2, $3 }' | sort
su --login --command 'patronictl list --format json' | grep --only-matching '"Member": "[^"]*' | cut --delimiter '"' --fields 4 | sort`)
		if err == nil && got != want {
			err = fmt.Errorf("%s, and etcd and Patroni list\n%s", when, got)
		}
		return err
	})
}

// settle waits until one of these nodes leads and all others of them with PostgreSQL follow
// it, as many as may be in step. It returns the leader.
func (c *cluster) settle(nodes []*node) (leader *node) {
	c.t.Helper()
	until(c.t, settleTime, func(ctx context.Context) (err error) {
		leader, err = c.settled(ctx, nodes)
		return err
	})
	return leader
}

// settled says what is missing to what settle waits for.
func (c *cluster) settled(ctx context.Context, nodes []*node) (*node, error) {
	databases := slices.DeleteFunc(c.databases(), func(n *node) bool { return !slices.Contains(nodes, n) })
	leaders, err := c.leaders(ctx, databases)
	if err != nil || len(leaders) != 1 {
		return nil, errors.Join(err, fmt.Errorf("%d nodes lead: %s", len(leaders), names(leaders)))
	}
	leader := leaders[0]
	var all struct{ Members []patroniMember }
	if _, err := leader.askPatroni(ctx, "/cluster", &all); err != nil {
		return nil, err
	}
	find := func(n *node) (m patroniMember) {
		for _, m := range all.Members {
			if m.Name == n.name {
				return m
			}
		}
		return m
	}
	timeline, inStep := find(leader).Timeline, 0
	for _, n := range databases {
		m := find(n)
		if m.Role == "sync_standby" {
			inStep++
		}
		// Up to Patroni 3.0 one that streams is running.
		if n != leader && (m.Role == "leader" || m.State != "running" && m.State != "streaming" || m.Timeline != timeline) {
			err = errors.Join(err, fmt.Errorf("%s, which leads on the timeline %d, says of %s: %+v", leader.name, timeline, n.name, m))
		}
	}
	if want := min(len(databases)-1, synchronousNodes); inStep != want {
		err = errors.Join(err, fmt.Errorf("%d replicas are in step, and not %d: %+v", inStep, want, all.Members))
	}
	return leader, err
}

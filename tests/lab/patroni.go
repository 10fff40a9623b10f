//go:build lab

package lab

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// patroniMember is a node as Patroni has it, of Debian 11 to 13:
// https://patroni.readthedocs.io/en/latest/rest_api.html#cluster-status-endpoints
type patroniMember struct {
	Name     string `json:"name"`
	Role     string `json:"role"`
	State    string `json:"state"`
	Timeline int    `json:"timeline"`
}

// askPatroni asks the REST API of the node's own Patroni, from the node's own network:
// nobody else may, and whatever becomes of the cable.
func (n *node) askPatroni(ctx context.Context, path string, answer any) (code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: n.cluster.Authority(), MinVersion: tls.VersionTLS12},
		DialContext:       n.dial,
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+net.JoinHostPort(n.addr.Addr().String(), "8008")+path, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return 0, fmt.Errorf("%s: %s: %w", request.URL, response.Status, err)
	}
	return response.StatusCode, nil
}

// leads tells whether a node says of itself that it serves as the leader.
func (n *node) leads(ctx context.Context) (bool, error) {
	var self patroniMember
	code, err := n.askPatroni(ctx, "/leader", &self)
	return code == http.StatusOK && self.State == "running" && self.Role != "replica", err
}

// leader is the node that leads. There has to be one, and no other.
func (c *cluster) leader() *node {
	c.t.Helper()
	leaders, _ := c.leaders(c.t.Context(), c.databases()) // who does not answer leads nobody
	if len(leaders) != 1 {
		c.t.Fatalf("%d nodes lead: %s", len(leaders), names(leaders))
	}
	return leaders[0]
}

// leaders are those of the nodes that say that they lead; the error is of those that say nothing.
func (c *cluster) leaders(ctx context.Context, nodes []*node) (leaders []*node, err error) {
	for _, n := range nodes {
		leads, e := n.leads(ctx)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", n.name, e))
		}
		if leads {
			leaders = append(leaders, n)
		}
	}
	return leaders, err
}

// watchLeaders looks until it is stopped whether several nodes lead at a time. The nodes
// are asked one after the other, so that two that lead in one round may have done so one
// after the other; in two rounds they have not.
func (c *cluster) watchLeaders() (stop func()) {
	databases := c.databases()
	return c.watch(func(ctx context.Context) {
		var before []*node
		poll(ctx, time.Second, func() bool {
			leaders, _ := c.leaders(ctx, databases) // who does not answer leads nobody
			if len(leaders) > 1 && slices.Equal(leaders, before) {
				c.t.Errorf("at a time there lead %s", names(leaders))
			}
			before = leaders
			return false
		})
	})
}

func names(nodes []*node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.name)
	}
	return strings.Join(all, ", ")
}

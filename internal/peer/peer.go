// Package peer is the question that nodes ask one another before a cluster is born, or
// is brought back: what do you hold? It is asked over TLS with the certificates of both,
// at [seeds.MemberPort], and the answer, in JSON, holds no secret.
package peer

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"banyan/seeds"
)

// Holding is what a node has of something that there must be once.
type Holding string

// The holdings.
const (
	Nothing Holding = "nothing" // and never had
	Begun   Holding = "begun"   // what an interrupted birth of its own has left
	Data    Holding = "data"
	Lost    Holding = "lost" // it had data, which is not there now
)

// Answer is what a node says of itself.
type Answer struct {
	Node       string     `json:"node"`
	Cluster    string     `json:"cluster"`
	ClusterID  seeds.UUID `json:"cluster_id,omitempty"`
	Generation int        `json:"generation,omitempty"`

	Etcd       Holding  `json:"etcd,omitempty"`       // "" where it is no member of etcd
	Raft       Holding  `json:"raft,omitempty"`       // "" where it is no member of Patroni's raft
	PostgreSQL Holding  `json:"postgresql,omitempty"` // "" where it does not run PostgreSQL
	Progress   Progress `json:"progress,omitzero"`    // of PostgreSQL's data
	SystemID   string   `json:"system_id,omitempty"`  // likewise, where the node was born with it
}

// Progress is how far the data of a PostgreSQL has come, as pg_controldata(1) tells.
type Progress struct {
	Timeline uint32 `json:"timeline"`
	Primary  bool   `json:"primary"` // it was no standby when it last ran
	LSN      uint64 `json:"lsn"`     // of its last checkpoint, or up to which a standby has to recover
}

// Ahead tells whether p has come further than q, as far as control files tell: whoever
// was promoted last has, and a primary has whatever its standbys have.
func (p Progress) Ahead(q Progress) bool {
	switch {
	case p.Timeline != q.Timeline:
		return p.Timeline > q.Timeline
	case p.Primary != q.Primary:
		return p.Primary
	default:
		return p.LSN > q.LSN
	}
}

// path is where the question is asked.
const path = "/v1/node"

// answerTimeout is for one answer.
const answerTimeout = 5 * time.Second

// Result is the answer of a node, or why there is none.
type Result struct {
	Node   seeds.Node
	Answer Answer
	Err    error
}

// HasPostgreSQL tells whether the node has answered that it holds PostgreSQL's data.
func (r Result) HasPostgreSQL() bool { return r.Err == nil && r.Answer.PostgreSQL == Data }

// Client asks the nodes of a cluster.
type Client struct {
	cluster seeds.Cluster
	http    func(node string) *http.Client
}

// NewClient makes a client of a cluster with the certificate of the node that asks.
func NewClient(cluster seeds.Cluster, config *tls.Config) Client {
	return Client{cluster, func(node string) *http.Client {
		c := config.Clone()
		c.ServerName = node
		return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: c}, Timeout: answerTimeout}
	}}
}

// Ask asks all nodes at once, and returns what became of it in their order.
func (c Client) Ask(ctx context.Context, nodes []seeds.Node) []Result {
	results := make([]Result, len(nodes))
	var asking sync.WaitGroup
	for i, n := range nodes {
		asking.Go(func() {
			a, err := c.ask(ctx, n)
			results[i] = Result{n, a, err}
		})
	}
	asking.Wait()
	return results
}

func (c Client) ask(ctx context.Context, n seeds.Node) (Answer, error) {
	var a Answer
	url := "https://" + net.JoinHostPort(n.Address.Addr().String(), strconv.Itoa(seeds.MemberPort)) + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return a, err
	}
	response, err := c.http(n.Name).Do(request)
	if err != nil {
		return a, errors.Unwrap(err) // without the URL
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(response.Body, 200))
		return a, errors.Join(fmt.Errorf("it answers %s: %s", response.Status, text), err)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&a); err != nil {
		return a, fmt.Errorf("not a node's answer: %w", err)
	}
	return a, c.check(a, n.Name)
}

// check refuses the answer of a node of another cluster.
func (c Client) check(a Answer, name string) error {
	switch {
	case a.Node != name:
		return fmt.Errorf("there answers %q", a.Node)
	case a.Cluster != c.cluster.Name || a.ClusterID != c.cluster.ID:
		return fmt.Errorf("it is of the cluster %s with the id %q, not %q", a.Cluster, a.ClusterID, c.cluster.ID)
	}
	return nil
}

// Serve answers until nobody has asked for that long, or ctx ends. answer is asked anew
// each time.
func Serve(ctx context.Context, listener net.Listener, config *tls.Config, idle time.Duration, answer func() (Answer, error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	quiet := time.AfterFunc(idle, cancel)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
		quiet.Reset(idle)
		a, err := answer()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a) // who asked has gone
	})
	server := &http.Server{Handler: mux, ReadTimeout: answerTimeout, WriteTimeout: 2 * answerTimeout, TLSConfig: config}
	context.AfterFunc(ctx, func() {
		closing, done := context.WithTimeout(context.Background(), answerTimeout)
		defer done()
		_ = server.Shutdown(closing) // what is still being answered is cut off
	})
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Silent are those of the results without an answer, in words.
func Silent(results []Result) []string {
	var words []string
	for _, r := range results {
		if r.Err != nil {
			words = append(words, fmt.Sprintf("%s (%s): %v", r.Node.Name, r.Node.Address.Addr(), r.Err))
		}
	}
	return words
}

// Best is the node whose PostgreSQL has come furthest, among those that hold data and may
// lead; of equals the first. Where none may that hold any, it is one of these.
func Best(results []Result) (best Result, ok bool) {
	holders := slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return !r.HasPostgreSQL() })
	leaders := slices.DeleteFunc(slices.Clone(holders), func(r Result) bool { return r.Node.Patroni.Tags.NoFailover })
	if len(leaders) > 0 {
		holders = leaders
	}
	for i, r := range holders {
		if i == 0 || r.Answer.Progress.Ahead(best.Answer.Progress) {
			best, ok = r, true
		}
	}
	return best, ok
}

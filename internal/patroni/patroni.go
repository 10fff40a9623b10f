// Package patroni is a client of Patroni's REST API, as far as it may be read without a certificate:
// https://patroni.readthedocs.io/en/latest/rest_api.html
package patroni

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Status is what Patroni says of its node, as far as it is used here.
type Status struct {
	State         string `json:"state"`          // of PostgreSQL: "running", "starting", "stopped", "initializing new cluster" ...
	Role          string `json:"role"`           // "primary" (or "master", up to Patroni 3), "replica", "standby_leader", "uninitialized" ...
	ServerVersion int    `json:"server_version"` // as PostgreSQL counts: 170005 is 17.5; 0 unless it runs
	Timeline      int    `json:"timeline"`       // 0 unless it is known
	Pause         bool   `json:"pause"`          // the cluster is in maintenance mode
	XLog          XLog   `json:"xlog"`

	WatchdogFailed bool `json:"watchdog_failed"` // it is required, and would not open

	// DCSLastSeen is when Patroni last read the DCS, in seconds since 1970, from Patroni 2.1
	// on, else 0. Where FailsafeActive, the members vouch for the leader instead.
	DCSLastSeen    int64 `json:"dcs_last_seen"`
	FailsafeActive bool  `json:"failsafe_mode_is_active"`

	Software Software `json:"patroni"`

	// Replication is who replicates from this node.
	Replication []Stream `json:"replication,omitempty"`

	// Leader tells whether the node holds the cluster's leader lock.
	Leader bool `json:"leader"`
}

// Software is Patroni itself.
type Software struct {
	Version string `json:"version"` // such as 4.0.7
}

// AtLeast tells whether it is of that version or later; what is missing, or is no number,
// is 0.
func (s Software) AtLeast(version ...int) bool {
	var has []int
	for word := range strings.SplitSeq(s.Version, ".") {
		n, err := strconv.Atoi(word)
		if err != nil {
			n = 0
		}
		has = append(has, n)
	}
	return slices.Compare(has, version) >= 0
}

// XLog is how far a server that runs has come in the WAL, in bytes: as a primary, or as
// a standby by what it has received and replayed.
type XLog struct {
	Location uint64 `json:"location"`
	Received uint64 `json:"received_location"`
	Replayed uint64 `json:"replayed_location"`
}

// End is the furthest of these, 0 where none is known.
func (x XLog) End() uint64 { return max(x.Location, x.Received, x.Replayed) }

// Stream is a replica in the view of the node that it replicates from.
type Stream struct {
	Name  string `json:"application_name"` // of a member, its own
	State string `json:"state"`            // "streaming", "catchup" ...: pg_stat_replication
}

// Leads tells whether the node serves as the leader of its cluster. That takes
// lock and role: a server that is being bootstrapped is a primary before it has
// the lock, and one that crashed still has the lock while it recovers.
func (s Status) Leads() bool {
	return s.Leader && s.State == "running" && (s.Role == "primary" || s.Role == "master" || s.Role == "standby_leader")
}

// Follows tells whether the node serves as a replica.
func (s Status) Follows() bool { return !s.Leader && s.State == "running" && s.Role == "replica" }

// PostgreSQL is the version of the server as people write it, such as "17.5",
// or "" while it does not run. https://www.postgresql.org/docs/current/libpq-status.html#LIBPQ-PQSERVERVERSION
func (s Status) PostgreSQL() string {
	if s.ServerVersion == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d", s.ServerVersion/10000, s.ServerVersion%10000)
}

// Client asks one Patroni.
type Client struct {
	URL  string // such as "https://172.16.32.11:8008"
	http *http.Client
}

// At is the client for the Patroni of the node with that address and that port of its
// REST API, which shows a certificate that the configuration trusts. Who wants to write
// has a certificate in it.
func At(address string, port uint16, tls *tls.Config) Client {
	return New("https://"+net.JoinHostPort(address, strconv.Itoa(int(port))), tls)
}

// New is the client for the Patroni at that URL, of http or https, see [At].
func New(url string, tls *tls.Config) Client {
	return Client{
		URL: strings.TrimSuffix(url, "/"),
		http: &http.Client{
			// For one answer at a time, without the system's proxies.
			Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: tls},
			// Patroni asks PostgreSQL first, with a connect timeout of three seconds and
			// a statement timeout of two.
			Timeout: 8 * time.Second,
		},
	}
}

// Status asks for the state of the node. It asks at /leader, whose body is that
// of /patroni and whose status code says in addition who holds the lock.
func (c Client) Status(ctx context.Context) (Status, error) {
	const path = "/leader"
	code, status, body, err := c.get(ctx, path)
	if err != nil {
		return Status{}, err
	}
	url := c.URL + path
	if code != http.StatusOK && code != http.StatusServiceUnavailable {
		return Status{}, fmt.Errorf("%s: %s: %s", url, status, firstLine(body))
	}
	var s Status
	if err := json.Unmarshal(body, &s); err != nil {
		return Status{}, fmt.Errorf("%s: %s: not Patroni's answer: %w", url, status, err)
	}
	if s.State == "" {
		return Status{}, fmt.Errorf("%s: %s: not Patroni's answer: it has no state", url, status)
	}
	s.Leader = code == http.StatusOK
	return s, nil
}

// get asks at a path. Reads are open to everybody who reaches the port.
func (c Client) get(ctx context.Context, path string) (code int, status string, body []byte, err error) {
	url := c.URL + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, "", nil, err // it names the URL
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(response.Body, 1<<20)); err != nil {
		return 0, "", nil, fmt.Errorf("%s: %w", url, err)
	}
	return response.StatusCode, response.Status, body, nil
}

func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	return line
}

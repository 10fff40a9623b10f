package patroni

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Cluster is what Patroni says of all members, from the DCS, as patronictl(1) lists them.
type Cluster struct {
	Members []Member `json:"members"`
	Pause   bool     `json:"pause,omitempty"` // maintenance mode: nothing fails over
}

// Member is a member as it last wrote of itself into the DCS.
type Member struct {
	Name           string         `json:"name"`
	Host           string         `json:"host,omitempty"`
	Port           int            `json:"port,omitempty"`
	Role           string         `json:"role"`                      // "leader", "standby_leader", "sync_standby", "quorum_standby" or "replica"
	State          string         `json:"state"`                     // of PostgreSQL; of one that streams "streaming", or "running" before Patroni 3.0.4
	Timeline       int            `json:"timeline,omitempty"`        // 0 where it is not known
	Lag            *Lag           `json:"lag,omitempty"`             // none of a leader
	PendingRestart bool           `json:"pending_restart,omitempty"` // a changed parameter waits for it
	Tags           map[string]any `json:"tags,omitempty"`
}

// Leads tells whether the member holds the leader lock.
func (m Member) Leads() bool { return m.Role == "leader" || m.Role == "standby_leader" }

// SyncStandby tells whether a commit on the leader waits for this member, or may.
func (m Member) SyncStandby() bool { return m.Role == "sync_standby" || m.Role == "quorum_standby" }

// Works tells whether its PostgreSQL does the part of its role.
func (m Member) Works() bool {
	return m.State == "running" || m.Role != "leader" && (m.State == "streaming" || m.State == "in archive recovery")
}

// Lag is how many bytes of WAL a replica has yet to receive.
type Lag struct {
	Bytes   int64
	Unknown bool
}

// UnmarshalJSON reads a number, or the word unknown.
func (l *Lag) UnmarshalJSON(text []byte) error {
	if string(text) == `"unknown"` {
		*l = Lag{Unknown: true}
		return nil
	}
	l.Unknown = false
	return json.Unmarshal(text, &l.Bytes)
}

// MarshalJSON writes what UnmarshalJSON reads.
func (l Lag) MarshalJSON() ([]byte, error) {
	if l.Unknown {
		return []byte(`"unknown"`), nil
	}
	return json.Marshal(l.Bytes)
}

// Config is the dynamic configuration, as far as it is used here:
// https://patroni.readthedocs.io/en/latest/dynamic_configuration.html
type Config struct {
	MaximumLagOnFailover  *int64 `json:"maximum_lag_on_failover"` // bytes
	SynchronousMode       any    `json:"synchronous_mode"`        // a bool, "quorum", or what else a person has put there
	SynchronousModeStrict bool   `json:"synchronous_mode_strict"`
	SynchronousNodeCount  int    `json:"synchronous_node_count"`
	StandbyCluster        any    `json:"standby_cluster"` // an object, or what else a person has put there

	All map[string]any `json:"-"` // the whole of it, as JSON has it
}

// UnmarshalJSON keeps the whole of it too.
func (c *Config) UnmarshalJSON(text []byte) error {
	type known Config
	if err := json.Unmarshal(text, (*known)(c)); err != nil {
		return err
	}
	return json.Unmarshal(text, &c.All)
}

// MaximumLag is how many bytes a replica may lag and still be promoted.
func (c Config) MaximumLag() int64 {
	if c.MaximumLagOnFailover == nil {
		return 1 << 20
	}
	return *c.MaximumLagOnFailover
}

// Times is how long the leader's key lives, how often it is renewed, and for how long a
// call of the DCS is tried again.
type Times struct{ TTL, LoopWait, RetryTimeout time.Duration }

// Times are those that Patroni goes by: what is not said is its default, and from 3.2 on it
// lowers loop_wait, and at last retry_timeout, until loop_wait + 2*retry_timeout <= ttl, without
// a word in the configuration: _validate_and_adjust_timeouts of patroni/config.py.
func (c Config) Times(software Software) Times {
	adjusts := software.AtLeast(3, 2)
	seconds := func(key string, otherwise, least int64) int64 {
		value := otherwise
		switch v := c.All[key].(type) {
		case float64:
			value = int64(v)
		case string:
			if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
				value = n
			}
		}
		if adjusts {
			value = max(value, least)
		}
		return value
	}
	ttl, loopWait, retryTimeout := seconds("ttl", 30, 20), seconds("loop_wait", 10, 1), seconds("retry_timeout", 10, 3)
	switch {
	case !adjusts:
	case 1+2*retryTimeout > ttl:
		loopWait, retryTimeout = 1, (ttl-1)/2
	case loopWait+2*retryTimeout > ttl:
		loopWait = ttl - 2*retryTimeout
	}
	return Times{time.Duration(ttl) * time.Second, time.Duration(loopWait) * time.Second, time.Duration(retryTimeout) * time.Second}
}

// Synchronous tells whether commits wait for standbys, and for how many. What counts as on
// is parse_bool of patroni/utils.py, and quorum where Patroni knows it.
func (c Config) Synchronous() (standbys int, on bool) {
	switch strings.ToLower(fmt.Sprint(c.SynchronousMode)) {
	case "true", "on", "yes", "1", "quorum":
		return cmp.Or(c.SynchronousNodeCount, 1), true
	}
	return 0, false
}

// Follows tells whether the cluster is a standby cluster, which nobody writes to and where
// no commit waits: is_standby_cluster of patroni/global_config.py.
func (c Config) Follows() bool {
	primary, _ := c.StandbyCluster.(map[string]any)
	for _, key := range []string{"host", "port", "restore_command"} {
		switch primary[key] {
		case nil, "", float64(0), false:
		default:
			return true
		}
	}
	return false
}

// Cluster asks for all members.
func (c Client) Cluster(ctx context.Context) (Cluster, error) {
	var cluster Cluster
	err := c.read(ctx, "/cluster", &cluster)
	return cluster, err
}

// Config asks for the dynamic configuration.
func (c Client) Config(ctx context.Context) (Config, error) {
	var config Config
	err := c.read(ctx, "/config", &config)
	return config, err
}

func (c Client) read(ctx context.Context, path string, to any) error {
	code, status, body, err := c.get(ctx, path)
	if err != nil {
		return err
	}
	if code != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", c.URL+path, status, firstLine(body))
	}
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("%s: not Patroni's answer: %w", c.URL+path, err)
	}
	return nil
}

// Table lists the members as `patronictl list` does: the last two columns are left out
// where they would be empty, and the lag is in MB.
func (c Cluster) Table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	restarts := slices.ContainsFunc(c.Members, func(m Member) bool { return m.PendingRestart })
	tags := slices.ContainsFunc(c.Members, func(m Member) bool { return len(m.Tags) > 0 })
	row := func(cells []string, restart, tag string) {
		if restarts {
			cells = append(cells, restart)
		}
		if tags {
			cells = append(cells, tag)
		}
		for i, cell := range cells {
			cells[i] = cmp.Or(cell, "-")
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	row([]string{"MEMBER", "HOST", "ROLE", "STATE", "TL", "LAG IN MB"}, "PENDING RESTART", "TAGS")
	for _, m := range c.Members {
		host, timeline, lag, restart := m.Host, "", "", ""
		if m.Port != 0 {
			host = net.JoinHostPort(host, strconv.Itoa(m.Port))
		}
		if m.Timeline != 0 {
			timeline = strconv.Itoa(m.Timeline)
		}
		switch {
		case m.Lag != nil && m.Lag.Unknown:
			lag = "unknown"
		case m.Lag != nil:
			lag = strconv.FormatInt(m.Lag.Bytes>>20, 10)
		}
		if m.PendingRestart {
			restart = "yes"
		}
		var words []string
		for _, name := range slices.Sorted(maps.Keys(m.Tags)) {
			words = append(words, fmt.Sprintf("%s: %v", name, m.Tags[name]))
		}
		row([]string{m.Name, host, strings.ReplaceAll(m.Role, "_", " "), m.State, timeline, lag}, restart, strings.Join(words, ", "))
	}
	_ = w.Flush() // nothing fails in memory
	return b.String()
}

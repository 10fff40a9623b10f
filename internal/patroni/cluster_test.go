package patroni

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The answers of GET /cluster and /config are Patroni's: of 4.0.7 as it gave them, of
// 2.0.2 as its source has them.
func TestCluster(t *testing.T) {
	bytes := func(n int64) *Lag { return &Lag{Bytes: n} }
	for name, test := range map[string]struct {
		body  string
		want  Cluster
		table string
	}{
		"4.0.7": {
			body: `{"members": [{"name": "pgsql-n1", "role": "leader", "state": "running", "api_url": "https://10.213.0.11:8008/patroni", "host": "10.213.0.11", "port": 5432, "timeline": 1}, {"name": "pgsql-n2", "role": "sync_standby", "state": "streaming", "api_url": "https://10.213.0.12:8008/patroni", "host": "10.213.0.12", "port": 5432, "timeline": 1, "lag": 0}], "scope": "pgsql-cl"}`,
			want: Cluster{Members: []Member{
				{Name: "pgsql-n1", Host: "10.213.0.11", Port: 5432, Role: "leader", State: "running", Timeline: 1},
				{Name: "pgsql-n2", Host: "10.213.0.12", Port: 5432, Role: "sync_standby", State: "streaming", Timeline: 1, Lag: bytes(0)},
			}},
			table: `MEMBER    HOST              ROLE          STATE      TL  LAG IN MB
pgsql-n1  10.213.0.11:5432  leader        running    1   -
pgsql-n2  10.213.0.12:5432  sync standby  streaming  1   0
`,
		},
		"2.0.2, with all that may be": {
			body: `{"members": [{"name": "pgsql-n1", "role": "replica", "state": "start failed", "api_url": "https://10.213.0.11:8008/patroni", "host": "10.213.0.11", "port": 6432, "lag": "unknown"}, {"name": "pgsql-n2", "role": "replica", "state": "running", "api_url": "https://10.213.0.12:8008/patroni", "host": "10.213.0.12", "port": 5432, "timeline": 7, "pending_restart": true, "tags": {"nofailover": true, "clonefrom": true}, "lag": 3145728}], "pause": true}`,
			want: Cluster{Pause: true, Members: []Member{
				{Name: "pgsql-n1", Host: "10.213.0.11", Port: 6432, Role: "replica", State: "start failed", Lag: &Lag{Unknown: true}},
				{
					Name: "pgsql-n2", Host: "10.213.0.12", Port: 5432, Role: "replica", State: "running", Timeline: 7,
					PendingRestart: true, Tags: map[string]any{"nofailover": true, "clonefrom": true}, Lag: bytes(3 << 20),
				},
			}},
			table: `MEMBER    HOST              ROLE     STATE         TL  LAG IN MB  PENDING RESTART  TAGS
pgsql-n1  10.213.0.11:6432  replica  start failed  -   unknown    -                -
pgsql-n2  10.213.0.12:5432  replica  running       7   3          yes              clonefrom: true, nofailover: true
`,
		},
	} {
		client := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/cluster" {
				t.Errorf("asked for %s", r.URL.Path)
			}
			fmt.Fprint(w, test.body)
		})
		got, err := client.Cluster(t.Context())
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, test.want)
		}
		if table := got.Table(); table != test.table {
			t.Errorf("%s: got\n%s\nwant\n%s", name, table, test.table)
		}
		text, err := json.Marshal(got)
		var again Cluster
		if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s: written and read again it is %+v, %v", name, again, err)
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func TestConfig(t *testing.T) {
	for body, want := range map[string]struct {
		lag      int64
		standbys int
		sync     bool
		follows  bool
	}{
		`{"maximum_lag_on_failover": 0, "synchronous_mode": true, "synchronous_node_count": 2}`: {0, 2, true, false},
		`{"maximum_lag_on_failover": 5, "synchronous_mode": "quorum"}`:                          {5, 1, true, false},
		`{"synchronous_mode": "on"}`:                                                {1 << 20, 1, true, false},
		`{"synchronous_mode": false, "synchronous_node_count": 2}`:                  {1 << 20, 0, false, false},
		`{"ttl": 30, "postgresql": {"parameters": {"a": [1, null]}}}`:               {1 << 20, 0, false, false},
		`{"standby_cluster": {"host": "192.0.2.1", "port": 5432}}`:                  {1 << 20, 0, false, true},
		`{"standby_cluster": {"restore_command": "cp"}, "synchronous_mode": "off"}`: {1 << 20, 0, false, true},
		`{"standby_cluster": {"port": "5432"}}`:                                     {1 << 20, 0, false, true},
		`{"standby_cluster": {"host": "", "port": 0, "primary_slot_name": "a"}}`:    {1 << 20, 0, false, false},
		`{"standby_cluster": null}`:                                                 {1 << 20, 0, false, false},
		`{"standby_cluster": "192.0.2.1"}`:                                          {1 << 20, 0, false, false},
	} {
		c, err := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }).Config(t.Context())
		standbys, on := c.Synchronous()
		if err != nil || c.MaximumLag() != want.lag || standbys != want.standbys || on != want.sync || c.Follows() != want.follows {
			t.Errorf("%s: lag %d, %d standbys, synchronous %t, follows %t, error %v", body, c.MaximumLag(), standbys, on, c.Follows(), err)
		}
		var all map[string]any
		if err := json.Unmarshal([]byte(body), &all); err != nil || !reflect.DeepEqual(c.All, all) {
			t.Errorf("%s: the whole of it is %v, %v", body, c.All, err)
		}
	}
}

func TestClusterErrors(t *testing.T) {
	for _, test := range []struct {
		code int
		body string
		want string
	}{
		{502, "", "/cluster: 502 Bad Gateway"},
		{200, "<h1>It works!</h1>", "/cluster: not Patroni's answer: invalid character"},
		{200, `{"members": [{"lag": "much"}]}`, "/cluster: not Patroni's answer: json: cannot unmarshal string"},
	} {
		_, err := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.code)
			fmt.Fprint(w, test.body)
		}).Cluster(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%d %s: error %v, want %s", test.code, test.body, err, test.want)
		}
	}
}

func TestMemberWorks(t *testing.T) {
	for _, test := range []struct {
		member Member
		want   bool
	}{
		{Member{Role: "leader", State: "running"}, true},
		{Member{Role: "standby_leader", State: "streaming"}, true},
		{Member{Role: "leader", State: "streaming"}, false},
		{Member{Role: "leader", State: "stopped"}, false},
		{Member{Role: "sync_standby", State: "streaming"}, true},
		{Member{Role: "replica", State: "in archive recovery"}, true},
		{Member{Role: "replica", State: "running"}, true}, // before Patroni 3.0.4
		{Member{Role: "replica", State: "creating replica"}, false},
	} {
		if got := test.member.Works(); got != test.want {
			t.Errorf("%+v: %t", test.member, got)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		version, config string
		want            [3]int // seconds: ttl, loop_wait, retry_timeout
	}{
		{"4.0.7", `{}`, [3]int{30, 10, 10}},
		{"4.0.7", `{"ttl": 20, "loop_wait": "5", "retry_timeout": 5}`, [3]int{20, 5, 5}},
		{"4.0.7", `{"ttl": 30, "loop_wait": 10, "retry_timeout": 1}`, [3]int{30, 10, 3}},
		{"4.0.7", `{"ttl": 20, "loop_wait": 10, "retry_timeout": 10}`, [3]int{20, 1, 9}},
		{"4.0.7", `{"ttl": 30, "loop_wait": 20, "retry_timeout": 10}`, [3]int{30, 10, 10}},
		{"4.0.7", `{"ttl": 5}`, [3]int{20, 1, 9}},
		{"3.0.2", `{"ttl": 20, "loop_wait": 10, "retry_timeout": 10}`, [3]int{20, 10, 10}},
		{"2.0.2", `{"ttl": "soon"}`, [3]int{30, 10, 10}},
	} {
		var config Config
		if err := json.Unmarshal([]byte(c.config), &config); err != nil {
			t.Fatal(err)
		}
		want := Times{time.Duration(c.want[0]) * time.Second, time.Duration(c.want[1]) * time.Second, time.Duration(c.want[2]) * time.Second}
		if got := config.Times(Software{c.version}); got != want {
			t.Errorf("%s of Patroni %s: %v, want %v", c.config, c.version, got, want)
		}
	}
}

package patroni

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The answers of GET /leader were taken down from Patroni 2.0.2, 3.0.2 and
// 4.0.7, each run with PostgreSQL 17.11.
var answers = map[string]struct {
	code           int
	body           string
	want           Status
	leads, follows bool
	postgresql     string
}{
	"2.0.2, leader": {
		code: 200,
		body: `{"state": "running", "postmaster_start_time": "2026-11-23 01:18:49.486 MSK", "role": "master", "server_version": 170011, "cluster_unlocked": false, "xlog": {"location": 50333160}, "timeline": 5, "database_system_identifier": "7711122671713509495", "patroni": {"version": "2.0.2", "scope": "pgsql-cl"}}`,
		want: Status{Software: Software{"2.0.2"}, State: "running", Role: "master", ServerVersion: 170011, Timeline: 5, Leader: true, XLog: XLog{Location: 50333160}}, leads: true, postgresql: "17.11",
	},
	"2.0.2, starting": {
		code: 503,
		body: `{"state": "starting", "postmaster_start_time": "2026-11-23 01:18:49.486 MSK", "role": "replica", "server_version": 170011, "cluster_unlocked": true, "xlog": {"received_location": 50332688, "replayed_location": 50332688, "replayed_timestamp": null, "paused": false}, "timeline": null, "database_system_identifier": "7711122671713509495", "patroni": {"version": "2.0.2", "scope": "pgsql-cl"}}`,
		want: Status{Software: Software{"2.0.2"}, State: "starting", Role: "replica", ServerVersion: 170011, XLog: XLog{Received: 50332688, Replayed: 50332688}}, postgresql: "17.11",
	},
	"3.0.2, leader": {
		code: 200,
		body: `{"state": "running", "postmaster_start_time": "2026-11-23 01:17:47.788884+03:00", "role": "master", "server_version": 170011, "xlog": {"location": 50332512}, "timeline": 4, "dcs_last_seen": 1795385868, "database_system_identifier": "7711122671713509495", "patroni": {"version": "3.0.2", "scope": "pgsql-cl"}}`,
		want: Status{Software: Software{"3.0.2"}, DCSLastSeen: 1795385868, State: "running", Role: "master", ServerVersion: 170011, Timeline: 4, Leader: true, XLog: XLog{Location: 50332512}}, leads: true, postgresql: "17.11",
	},
	"4.0.7, initdb": {
		code: 503,
		body: `{"state": "initializing new cluster", "role": "uninitialized", "cluster_unlocked": true, "dcs_last_seen": 1795384214, "patroni": {"version": "4.0.7", "scope": "pgsql-cl", "name": "pgsql-n1"}}`,
		want: Status{Software: Software{"4.0.7"}, DCSLastSeen: 1795384214, State: "initializing new cluster", Role: "uninitialized"},
	},
	"4.0.7, a primary whose bootstrap goes on": {
		code: 503,
		body: `{"state": "running", "postmaster_start_time": "2026-11-23 01:19:47.439375+03:00", "role": "primary", "server_version": 170011, "xlog": {"location": 24401200}, "timeline": 1, "cluster_unlocked": true, "dcs_last_seen": 1795384214, "database_system_identifier": "7711124069901553799", "patroni": {"version": "4.0.7", "scope": "pgsql-cl", "name": "pgsql-n1"}}`,
		want: Status{Software: Software{"4.0.7"}, DCSLastSeen: 1795384214, State: "running", Role: "primary", ServerVersion: 170011, Timeline: 1, XLog: XLog{Location: 24401200}}, postgresql: "17.11",
	},
	"4.0.7, leader": {
		code: 200,
		body: `{"state": "running", "postmaster_start_time": "2026-11-23 00:49:33.194638+03:00", "role": "primary", "server_version": 170011, "xlog": {"location": 24401320}, "timeline": 1, "dcs_last_seen": 1795384214, "database_system_identifier": "7711116296981745808", "patroni": {"version": "4.0.7", "scope": "pgsql-cl", "name": "pgsql-n1"}}`,
		want: Status{Software: Software{"4.0.7"}, DCSLastSeen: 1795384214, State: "running", Role: "primary", ServerVersion: 170011, Timeline: 1, Leader: true, XLog: XLog{Location: 24401320}}, leads: true, postgresql: "17.11",
	},
	"4.0.7, leader of two": {
		code: 200,
		body: `{"state": "running", "postmaster_start_time": "2026-11-26 15:43:11.678539+03:00", "role": "primary", "server_version": 170012, "xlog": {"location": 84020472}, "timeline": 1, "replication": [{"usename": "replicator", "application_name": "pgsql-n2", "client_addr": "10.213.0.12", "state": "streaming", "sync_state": "sync", "sync_priority": 1}], "dcs_last_seen": 1795697542, "database_system_identifier": "7712459830623954231", "patroni": {"version": "4.0.7", "scope": "pgsql-cl", "name": "pgsql-n1"}}`,
		want: Status{
			Software:    Software{"4.0.7"},
			DCSLastSeen: 1795697542,
			State:       "running", Role: "primary", ServerVersion: 170012, Timeline: 1, XLog: XLog{Location: 84020472},
			Replication: []Stream{{"pgsql-n2", "streaming"}}, Leader: true,
		}, leads: true, postgresql: "17.12",
	},
}

func TestStatus(t *testing.T) {
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/leader" {
					t.Errorf("asked for %s %s", r.Method, r.URL.Path)
				}
				w.WriteHeader(answer.code)
				fmt.Fprint(w, answer.body)
			})
			got, err := client.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, answer.want) {
				t.Errorf("got  %+v\nwant %+v", got, answer.want)
			}
			if got.Leads() != answer.leads || got.Follows() != answer.follows || got.PostgreSQL() != answer.postgresql {
				t.Errorf("leads %t, follows %t, PostgreSQL %q", got.Leads(), got.Follows(), got.PostgreSQL())
			}
		})
	}
}

func serve(t *testing.T, answer http.HandlerFunc) Client {
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return Client{server.URL, server.Client()}
}

// The roles that a cluster of one does not show; see get_postgresql_status in
// patroni/api.py.
func TestLeadsAndFollows(t *testing.T) {
	for _, test := range []struct {
		status         Status
		leads, follows bool
	}{
		{Status{State: "running", Role: "replica"}, false, true},
		{Status{State: "running", Role: "standby_leader", Leader: true}, true, false},
		{Status{State: "running", Role: "replica", Leader: true}, false, false}, // recovers with its old lock
		{Status{State: "running", Role: "standby_leader"}, false, false},
		{Status{State: "starting", Role: "primary", Leader: true}, false, false},
		{Status{State: "stopped", Role: "replica"}, false, false},
	} {
		if test.status.Leads() != test.leads || test.status.Follows() != test.follows {
			t.Errorf("%+v: leads %t, follows %t", test.status, test.status.Leads(), test.status.Follows())
		}
	}
}

func TestStatusErrors(t *testing.T) {
	for _, test := range []struct {
		code int
		body string
		want string
	}{
		{502, "<h1>Bad gateway</h1>\n<p>more\n", "/leader: 502 Bad Gateway: <h1>Bad gateway</h1>"},
		{200, "<h1>It works!</h1>", "/leader: 200 OK: not Patroni's answer: invalid character"},
		{503, "{}", "/leader: 503 Service Unavailable: not Patroni's answer: it has no state"},
	} {
		client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.code)
			fmt.Fprint(w, test.body)
		})
		_, err := client.Status(t.Context())
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%d %s: error %v, want %s", test.code, test.body, err, test.want)
		}
	}

	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	if _, err := (Client{nobody.URL, http.DefaultClient}).Status(t.Context()); err == nil || !strings.Contains(err.Error(), nobody.URL+"/leader") {
		t.Errorf("nobody listens: %v", err)
	}
}

func TestStatusIsBoundInTime(t *testing.T) {
	client := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Status(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	if At("172.16.32.11", 8008, nil).http.Timeout <= 0 {
		t.Error("without a deadline of the caller nothing bounds the time")
	}
}

func TestAt(t *testing.T) {
	for address, want := range map[string]string{
		"172.16.32.11":    "https://172.16.32.11:8008",
		"2001:db8:32::11": "https://[2001:db8:32::11]:8008",
	} {
		if got := At(address, 8008, nil).URL; got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

package status

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"banyan/internal/golden"
	"banyan/internal/node"
	"banyan/internal/patroni"
	"banyan/seeds"
)

func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := Report{State: Running, Started: began}
		r.Note("nobody listens yet")
		r.Begin("etcd")
		<-time.After(2 * time.Second)
		r.Begin("etcd") // goes on
		r.Note("waiting for etcd")
		r.Begin("patroni")
		<-time.After(1500 * time.Millisecond)
		r.Note("PostgreSQL is starting")
		r.End(errors.New("no luck"), "journalctl -b -u patroni")
		r.End(nil, "")
		r.Begin("verify")

		want := []Step{
			{Name: "etcd", State: Done, Started: began, Seconds: 2, Message: "waiting for etcd"},
			{
				Name: "patroni", State: Failed, Started: began.Add(2 * time.Second), Seconds: 1.5,
				Message: "PostgreSQL is starting", Error: "no luck", Look: "journalctl -b -u patroni",
			},
			{Name: "verify", State: Running, Started: began.Add(3500 * time.Millisecond)},
		}
		if !reflect.DeepEqual(r.Steps, want) {
			t.Errorf("got  %+v\nwant %+v", r.Steps, want)
		}
		if !r.Updated.Equal(began.Add(3500 * time.Millisecond)) {
			t.Errorf("updated %v after it began", r.Updated.Sub(began))
		}
	})
}

func TestWriteAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "banyan", "status.json")
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nothing is reported yet in this boot") {
		t.Errorf("before the first report: %v", err)
	}
	want := failed()
	for range 2 { // it replaces what is there
		if err := Write(path, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the report there is %v, error %v", entries, err)
	}

	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path+": unexpected end of JSON") {
		t.Errorf("half a report: %v", err)
	}
}

var at = time.Date(2026, 11, 22, 21, 23, 45, 0, time.UTC)

func report(state State, steps ...Step) Report {
	return Report{State: state, Node: "pgsql-n1", Cluster: "pgsql-cl", Address: "172.16.32.11", PostgreSQLPort: 5432, PatroniPort: 8008, EtcdMember: true, Steps: steps, Started: at, Updated: at}
}

func failed() Report {
	return report(Failed,
		Step{Name: "network", State: Done, Started: at},
		Step{
			Name: "patroni", State: Failed, Started: at, Seconds: 7.5, Message: "PostgreSQL is starting",
			Error: "the birth of the cluster failed: patroni.service is failed (failed, exit-code); a new attempt begins anew",
			Look:  "journalctl -b -u patroni",
		})
}

func leader() Live {
	return Live{Patroni: patroni.Status{State: "running", Role: "primary", ServerVersion: 170011, Timeline: 1, Leader: true}}
}

func with[T any](t T, change func(*T)) T {
	change(&t)
	return t
}

// balanced gives a cluster all the ways to reach it.
func balanced(r *Report) {
	servers := servers(3)
	r.Access = node.Access{
		Name: "pgsql-cl.demo.ru", ReadName: "pgsql-cl-ro.demo.ru",
		VIPs: []node.VIP{{Address: netip.MustParseAddr("172.16.32.180"), Site: "dc1"}, {Address: netip.MustParseAddr("172.16.64.180"), Site: "dc2"}},
		HAProxy: []node.Balancer{{
			Addresses: []netip.Addr{netip.MustParseAddr("172.16.32.11"), netip.MustParseAddr("172.16.32.21")},
			Ports:     []node.BalancerPort{{Port: 5000, Serves: "the primary"}, {Port: 5001, Serves: "all replicas"}, {Port: 7000, Serves: "statistics"}},
		}},
		PostgreSQL: servers,
	}
}

// servers are those of the nodes pgsql-n1 and so on.
func servers(n int) []node.Server {
	var all []node.Server
	for i := range n {
		all = append(all, node.Server{
			Node: fmt.Sprintf("pgsql-n%d", i+1), Address: netip.AddrFrom4([4]byte{172, 16, 32, byte(11 + i)}), Port: 5432, PatroniPort: 8008,
		})
	}
	return all
}

func unapplied(r Report, keys ...string) Report {
	r.Unapplied = keys
	return r
}

func TestSummary(t *testing.T) {
	refused := `Get "http://172.16.32.11:8008/leader": dial tcp 172.16.32.11:8008: connect: connection refused`
	waiting := Report{State: Waiting, Sources: []seeds.Outcome{
		{Source: "BANYAN partition /dev/sda3", Reason: "not present"},
		{Source: "volume BANYAN-SEED or CIDATA", Reason: "seed.yaml is not valid:\n" +
			"seed.yaml:12:5: unknown key addr: did you mean address?\n" +
			"   12 |   - {name: pgsql-n1, addr: 172.16.32.11/24, gateway: 172.16.32.1, services: [postgresql, etcd]}\n" +
			"      |                      ^^^^"},
		{Source: "directory /etc/banyan", Reason: "not present"},
	}}
	newer := report(Done)
	newer.Seed = "a newer seed (generation 4) was found on volume BANYAN-SEED /dev/sdb1, and kept: to apply it, mv /var/lib/banyan/staged.yaml /var/lib/banyan/seed.yaml && systemctl restart banyan-firstboot"
	long := failed()
	for range 20 {
		long.Steps = append(long.Steps, Step{Name: "user administrator", State: Failed, Error: "useradd: exit status 6: useradd: group 'wheel' does not exist", Look: "journalctl -b -u banyan-firstboot"})
	}
	tests := map[string]struct {
		report Report
		live   Live
		exit   int
	}{
		"ready":   {report(Done), leader(), ExitDone},
		"replica": {report(Done), with(leader(), func(l *Live) { l.Patroni.Leader, l.Patroni.Role = false, "replica" }), ExitDone},
		"ipv6":    {with6(report(Done)), leader(), ExitDone},
		"later":   {unapplied(report(Done), "patroni.failsafe_mode", "patroni.member_slots_ttl", "patroni.restapi.allowlist"), leader(), ExitDone},
		"paused":  {report(Done), with(leader(), func(l *Live) { l.Patroni.Pause = true }), ExitDone},

		"access":   {with(report(Done), balanced), leader(), ExitDone},
		"balancer": {with(with(report(Done), balanced), func(r *Report) { r.Node, r.PostgreSQLPort, r.PatroniPort, r.EtcdMember = "pgsql-b1", 0, 0, false }), Live{}, ExitDone},

		"newer":        {newer, leader(), ExitDone},
		"waiting":      {waiting, Live{}, ExitGoing},
		"running":      {report(Running, Step{Name: "identity", State: Done}, Step{Name: "etcd", State: Done}, Step{Name: "patroni", State: Running, Message: "PostgreSQL is initializing new cluster, role uninitialized"}), Live{}, ExitGoing},
		"begun":        {report(Running, Step{Name: "identity", State: Running}), Live{}, ExitGoing},
		"no-patroni":   {report(Done), Live{PatroniError: refused}, ExitGoing},
		"no-etcd":      {report(Done), with(leader(), func(l *Live) { l.EtcdError = "http://127.0.0.1:2379/health: not healthy: RAFT NO LEADER" }), ExitGoing},
		"recovering":   {report(Done), with(leader(), func(l *Live) { l.Patroni.Role = "replica" }), ExitGoing},
		"failed":       {failed(), Live{PatroniError: refused}, ExitFailed},
		"failed-long":  {long, Live{}, ExitFailed},
		"failed-early": {Report{State: Failed, Steps: []Step{{Name: "render", State: Failed, Error: "/var/lib/banyan/seed.yaml:3:1: unknown key clutser", Look: "journalctl -b -u banyan-firstboot"}}}, Live{}, ExitFailed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := Screen(Summary(test.report, test.live))
			lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
			if len(lines) > 20 {
				t.Errorf("%d lines", len(lines))
			}
			for _, l := range lines {
				if n := utf8.RuneCountInString(l); n > 78 {
					t.Errorf("%d columns: %s", n, l)
				}
			}
			if ready := lines[0] == "banyan: "+test.report.Node+" is ready"; ready != (test.exit == ExitDone) {
				t.Errorf("with exit code %d the first line is %q", test.exit, lines[0])
			}
			if code := Evaluate(test.report, test.live); code != test.exit {
				t.Errorf("exit code %d, want %d", code, test.exit)
			}
			golden.Check(t, "testdata/"+name+".golden", got)
		})
	}
}

func TestSources(t *testing.T) {
	r := report(Done)
	r.Sources = []seeds.Outcome{
		{Source: "kernel parameter banyan.seed", Reason: "not present"},
		{Source: "volume BANYAN-SEED /dev/sdb1", Reason: "refused: it is of another cluster: its cluster.id is 6f1f0d9e-5b0c-4a3e-9a55-2f6f9a2f7f12, and that of this node another"},
		{Source: "sealed seed", Found: true},
	}
	golden.Check(t, "testdata/sources.golden", Sources(r))
	r.State = Waiting
	if got := Sources(r); got != "" {
		t.Errorf("what waits for a seed has them twice:\n%s", got)
	}
	if got := Sources(report(Done)); got != "" {
		t.Errorf("without sources: %q", got)
	}
}

// Nobody's file names steer the terminal, by escapes of seven bits or of eight, or turn
// the text about.
func TestSummaryOfHostileNames(t *testing.T) {
	r := Report{State: Waiting, Sources: []seeds.Outcome{{Source: "volume BANYAN-SEED", Reason: "\x1b[2J\u009b31m\x9b\a\u202e.yaml is not valid:\n   1 | a:\t\x1bc"}}}
	got := Summary(r, Live{})
	if !strings.Contains(got, "?[2J?31m\ufffd??.yaml is not valid") || !strings.Contains(got, "1 | a: ?c\n") {
		t.Errorf("got %q", got)
	}
	for _, r := range got {
		if r != '\n' && !unicode.IsGraphic(r) {
			t.Errorf("%q is in it", r)
		}
	}
}

func with6(r Report) Report {
	r.Address = "2001:db8:32::11"
	return r
}

func TestFold(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", []string{""}},
		{"one two three", []string{"one two", "three"}},
		{"immeasurable", []string{"immea..."}},
		{"a\n  laid out line\nb", []string{"a", "  lai...", "b"}},
		{"имя узла", []string{"имя узла"}},
	} {
		if got := fold(test.text, 8); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"banyan/internal/pki"
	"banyan/seeds"
)

var cluster = seeds.Cluster{Name: "pgsql-cl", ID: "6f1f0d9e-5b0c-4a3e-9a55-2f6f9a2f7f11"}

func authority(t *testing.T) *pki.Authority {
	t.Helper()
	a, err := pki.NewAuthority("CA", pki.ECDSA, pki.Lifetime{From: time.Now(), Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// of is how the node of that name speaks TLS, as loopback address.
func of(t *testing.T, a *pki.Authority, name string) *tls.Config {
	t.Helper()
	certificate, key, _, err := a.Issue(pki.Subject{Name: name, DNSNames: []string{name}}, pki.Lifetime{From: time.Now(), Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.TLS(a.Certificates(), certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ask asks who listens at an address of the loopback network as if it were the node n2.
func ask(t *testing.T, address string, config *tls.Config) Result {
	t.Helper()
	n2 := seeds.Node{Name: "n2", Address: netip.MustParsePrefix(address + "/8")}
	return NewClient(cluster, config).Ask(t.Context(), []seeds.Node{n2})[0]
}

func serve(t *testing.T, address string, config *tls.Config, idle time.Duration, answer func() (Answer, error)) <-chan error {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "8009"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, listener, config, idle, answer) }()
	t.Cleanup(cancel)
	return done
}

func TestAsk(t *testing.T) {
	a := authority(t)
	want := Answer{Node: "n2", Cluster: cluster.Name, ClusterID: cluster.ID, Generation: 3, Etcd: Data, PostgreSQL: Lost, Progress: Progress{Timeline: 2, LSN: 7}}
	answer, failure := want, error(nil)
	serve(t, "127.77.0.2", of(t, a, "n2"), time.Hour, func() (Answer, error) { return answer, failure })

	if r := ask(t, "127.77.0.2", of(t, a, "n1")); r.Err != nil || r.Answer != want {
		t.Errorf("%+v", r)
	}
	for name, test := range map[string]struct {
		change func()
		config *tls.Config
		want   string
	}{
		"another node": {func() { answer.Node = "n3" }, of(t, a, "n1"), `there answers "n3"`},
		"another cluster": {func() { answer.ClusterID = "6f1f0d9e-5b0c-4a3e-9a55-000000000000" }, of(t, a, "n1"),
			`it is of the cluster pgsql-cl with the id "6f1f0d9e-5b0c-4a3e-9a55-000000000000"`},
		"it does not know":         {func() { failure = errors.New("the volume is not mounted") }, of(t, a, "n1"), "the volume is not mounted"},
		"a foreign certificate":    {func() {}, of(t, authority(t), "n1"), "certificate"},
		"no certificate to be had": {func() {}, &tls.Config{RootCAs: of(t, a, "n1").RootCAs}, "certificate required"},
	} {
		answer, failure = want, nil
		test.change()
		if r := ask(t, "127.77.0.2", test.config); r.Err == nil || !strings.Contains(r.Err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, r.Err, test.want)
		}
	}
	if r := ask(t, "127.77.0.3", of(t, a, "n1")); r.Err == nil || len(Silent([]Result{r})) != 1 {
		t.Errorf("nobody is there: %+v", r)
	}
	serve(t, "127.77.0.4", of(t, a, "n4"), time.Hour, func() (Answer, error) { return want, nil })
	if r := ask(t, "127.77.0.4", of(t, a, "n1")); r.Err == nil || !strings.Contains(r.Err.Error(), "n4") {
		t.Errorf("another node's certificate: %v", r.Err)
	}
}

func TestServeEnds(t *testing.T) {
	done := serve(t, "127.77.0.5", of(t, authority(t), "n2"), time.Second, func() (Answer, error) { return Answer{}, nil })
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Error("nobody asks, and it stays")
	}
}

func TestBest(t *testing.T) {
	is := func(name string, h Holding, p Progress) Result {
		return Result{Node: seeds.Node{Name: name}, Answer: Answer{PostgreSQL: h, Progress: p}}
	}
	silent := is("silent", Data, Progress{Timeline: 9})
	silent.Err = errors.New("no route to host")
	never := is("never", Data, Progress{Timeline: 9})
	never.Node.Patroni.Tags.NoFailover = true
	for name, test := range map[string]struct {
		results []Result
		want    string
	}{
		"nobody":          {[]Result{is("n1", Nothing, Progress{}), is("n2", Begun, Progress{}), is("n3", Lost, Progress{}), silent}, ""},
		"one":             {[]Result{is("n1", Nothing, Progress{}), is("n2", Data, Progress{Timeline: 1})}, "n2"},
		"later timeline":  {[]Result{is("n1", Data, Progress{1, true, 9}), is("n2", Data, Progress{2, false, 5})}, "n2"},
		"the primary":     {[]Result{is("n1", Data, Progress{1, false, 9}), is("n2", Data, Progress{1, true, 5})}, "n2"},
		"further":         {[]Result{is("n1", Data, Progress{1, false, 5}), is("n2", Data, Progress{1, false, 9})}, "n2"},
		"it never leads":  {[]Result{never, is("n2", Data, Progress{Timeline: 1})}, "n2"},
		"nobody may lead": {[]Result{is("n1", Lost, Progress{}), never}, "never"},
		"alike, so first": {[]Result{is("n1", Data, Progress{1, false, 5}), is("n2", Data, Progress{1, false, 5})}, "n1"},
	} {
		if best, ok := Best(test.results); best.Node.Name != test.want || ok != (test.want != "") {
			t.Errorf("%s: %s", name, best.Node.Name)
		}
	}
}

package status

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The bodies are those of etcd 3.5.16.
func TestEtcdHealth(t *testing.T) {
	for _, test := range []struct {
		code int
		body string
		want string // "" for healthy
	}{
		{200, `{"health":"true","reason":""}`, ""},
		{200, `{"health": "true"}`, ""}, // 3.3
		{503, `{"health":"false","reason":"RAFT NO LEADER"}`, "/health: not healthy: RAFT NO LEADER"},
		{404, "404 page not found\n", "/health: 404 Not Found: not etcd's answer: "},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/health" {
				t.Errorf("asked for %s", r.URL.Path)
			}
			w.WriteHeader(test.code)
			fmt.Fprint(w, test.body)
		}))
		got := ""
		if err := etcdHealth(t.Context(), server.URL); err != nil {
			got = err.Error()
		}
		server.Close()
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", test.body, got, test.want)
		}
	}
}

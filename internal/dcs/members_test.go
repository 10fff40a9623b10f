package dcs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// The lines are those of etcd 3.5.16.
func TestReceivedBytes(t *testing.T) {
	const metrics = `# HELP etcd_network_peer_received_bytes_total The total number of bytes received from peers.
# TYPE etcd_network_peer_received_bytes_total counter
etcd_network_peer_received_bytes_total{From="0"} 7
etcd_network_peer_received_bytes_total{From="7d90f0ba053a0dae"} 1.234567e+06
etcd_network_peer_sent_bytes_total{To="ebe6ec1c106a4dbd"} 12
`
	for id, want := range map[string]float64{"7d90f0ba053a0dae": 1234567, "ebe6ec1c106a4dbd": 0} {
		if got, err := receivedBytes(strings.NewReader(metrics), id); got != want || err != nil {
			t.Errorf("%s: %v, %v", id, got, err)
		}
	}
	if _, err := receivedBytes(strings.NewReader("etcd_network_peer_received_bytes_total{From=\"1\"} x\n"), "1"); err == nil {
		t.Error("x counts as a number")
	}
}

func TestFindMember(t *testing.T) {
	all := []Member{{ID: 1, Name: "n1", PeerURLs: []string{"https://10.0.0.1:2380"}}, {ID: 2, PeerURLs: []string{"https://10.0.0.2:2380"}}}
	for _, test := range []struct {
		name, url string
		want      uint64 // 0 for none
	}{
		{"n1", "https://10.0.0.9:2380", 1}, // its address has changed
		{"n2", "https://10.0.0.2:2380", 2},
		{"n3", "https://10.0.0.1:2380", 0}, // another's old address
		{"n3", "https://10.0.0.3:2380", 0},
	} {
		if got, ok := FindMember(all, test.name, test.url); got.ID != test.want || ok != (test.want != 0) {
			t.Errorf("%s at %s: %v", test.name, test.url, got)
		}
	}
}

func TestErrorsOfEtcd(t *testing.T) {
	learner := rpctypes.Error(rpctypes.ErrGRPCNotSupportedForLearner)
	for _, test := range []struct {
		err              error
		learner, mayPass bool
	}{
		{learner, true, true},
		{fmt.Errorf("add: %w", rpctypes.ErrUnhealthy), false, true},
		{rpctypes.ErrTooManyLearners, false, true},
		{rpctypes.ErrPermissionDenied, false, false},
		{errors.New("lost"), false, false},
	} {
		if IsLearner(test.err) != test.learner || MayPass(test.err) != test.mayPass {
			t.Errorf("%v: learner %t, may pass %t", test.err, IsLearner(test.err), MayPass(test.err))
		}
	}
}

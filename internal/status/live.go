package status

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"banyan/internal/node"
	"banyan/internal/patroni"
	"banyan/internal/pki"
)

// Live is what the node's services answer now.
type Live struct {
	Patroni      patroni.Status `json:"patroni,omitzero"`
	PatroniError string         `json:"patroni_error,omitempty"` // why there is no answer
	EtcdError    string         `json:"etcd_error,omitempty"`    // why etcd is not healthy

	Cluster      *patroni.Cluster `json:"cluster,omitempty"`       // all members, where they were asked for
	ClusterError string           `json:"cluster_error,omitempty"` // why nobody tells them
}

// Look asks Patroni and etcd of the node that r is of. Before there is a seed
// there is nobody to ask.
func Look(ctx context.Context, r Report) Live {
	var live Live
	if r.Address == "" {
		return live
	}
	var err error
	if r.PatroniPort != 0 {
		if live.Patroni, err = askPatroni(ctx, r); err != nil {
			live.PatroniError = err.Error()
		}
	}
	if r.EtcdMember {
		if err := etcdHealth(ctx, node.EtcdHealth); err != nil {
			live.EtcdError = err.Error()
		}
	}
	return live
}

func askPatroni(ctx context.Context, r Report) (patroni.Status, error) {
	config, err := trusted()
	if err != nil {
		return patroni.Status{}, err
	}
	return patroni.At(r.Address, r.PatroniPort, config).Status(ctx)
}

// trusted is how everybody on the node knows the others: their keys are root's.
func trusted() (*tls.Config, error) {
	authority, err := os.ReadFile(node.CAFile)
	if err != nil {
		return nil, err
	}
	config, err := pki.TLS(string(authority), "", "")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", node.CAFile, err)
	}
	return config, nil
}

// etcdHealth asks a member whether it takes part in a cluster that has a leader:
// https://etcd.io/docs/v3.5/op-guide/monitoring/#health-check
//
// This is for a person, and tells in one answer why it does not. Package member
// asks through its etcd client instead, by a read such as those that follow.
func etcdHealth(ctx context.Context, endpoint string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	url := endpoint + "/health"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var body struct {
		Health string `json:"health"` // "true" or "false"
		Reason string `json:"reason"` // since etcd 3.5
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		return fmt.Errorf("%s: %s: not etcd's answer: %w", url, response.Status, err)
	}
	if body.Health != "true" {
		return fmt.Errorf("%s: not healthy: %s", url, body.Reason)
	}
	return nil
}

// serves tells whether PostgreSQL, where r has it, does its part in the cluster.
func (l Live) serves(r Report) bool {
	return r.PatroniPort == 0 || l.PatroniError == "" && (l.Patroni.Leads() || l.Patroni.Follows())
}

// Exit codes of `firstboot status`.
const (
	ExitDone   = 0
	ExitFailed = 1
	ExitGoing  = 2 // going on, or degraded
)

// Evaluate is the exit code: done means that the node was made and serves now.
func Evaluate(r Report, live Live) int {
	switch {
	case r.State == Failed:
		return ExitFailed
	case r.State == Done && live.serves(r) && live.EtcdError == "":
		return ExitDone
	default:
		return ExitGoing
	}
}

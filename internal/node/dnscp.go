package node

import (
	"bytes"
	"fmt"

	"gopkg.in/yaml.v3"

	"banyan/internal/converge"
	"banyan/internal/dnscp/config"
	"banyan/seeds"
)

const (
	dnscpUnit   = "dnscp.service"
	dnscpSocket = "dnscp.socket"
	dnscpSecret = "/etc/dnscp/secret"

	// What Patroni runs: its callbacks add what has happened, and need no more than to wake
	// the guard.
	dnscpCallback   = "/usr/bin/dnscp --"
	dnscpBeforeStop = "/usr/bin/dnscp before-stop"
)

// dnscp is the guard of the leader's VIPs and of its record, on a node that may lead and
// has not left.
func dnscp(s seeds.Seed, self seeds.Node, left bool) ([]converge.Resource, error) {
	secret := converge.File{Path: dnscpSecret, Mode: 0o600, Owner: "dnscp", Content: dnscpSecretOf(s), Secret: true}
	if !s.KeepsVIPs(self) || left {
		// A VIP that is there goes by itself, in seconds. Without its service, and without the
		// configuration, the socket is not there; masked, it would keep the service from coming back.
		return []converge.Resource{
			converge.Unit{Name: dnscpUnit, Masked: true}, converge.Unit{Name: dnscpSocket},
			converge.Absent{Path: config.File}, converge.Absent{Path: secret.Path},
		}, nil
	}
	text, err := marshalDNSCP(s, self)
	if err != nil {
		return nil, err
	}
	resources := []converge.Resource{file(config.File, text)}
	if secret.Content == "" {
		resources = append(resources, converge.Absent{Path: secret.Path})
	} else {
		resources = append(resources, secret)
	}
	// A restart takes no VIP away: the lease outlasts it. The service brings the socket, which could not
	// come before it on a node that was masked.
	return append(resources,
		converge.Unit{Name: dnscpUnit, Enabled: true, Running: true, RestartOn: []string{config.File, secret.Path, CAFile}},
		converge.Unit{Name: dnscpSocket, Enabled: true, Running: true}), nil
}

// dnscpSecretOf is the file with what updates of DNS are authorized by; "" where nothing is.
func dnscpSecretOf(s seeds.Seed) string {
	switch s.DNS.Auth {
	case seeds.DNSAuthTSIG:
		return s.Secrets.TSIGSecret.Reveal() + "\n"
	case seeds.DNSAuthGSSTSIG:
		return s.Secrets.DNSPassword.Reveal() + "\n"
	}
	return ""
}

// marshalDNSCP is the guard's configuration. All nodes have the VIPs of all sites, of which
// each takes those of its own subnet.
func marshalDNSCP(s seeds.Seed, self seeds.Node) (string, error) {
	c := config.Config{
		Patroni: config.Patroni{
			URL:    "https://" + addrPort(self.Address.Addr(), self.Patroni.RESTAPI.Port),
			CAFile: CAFile,
			Watchdog: config.Watchdog{
				Mode: config.WatchdogMode(self.Patroni.Watchdog.Mode), SafetyMargin: int(self.Patroni.Watchdog.SafetyMargin),
			},
		},
		HoldDown: int(s.DNSCP.HoldDown),
		DNS:      dnscpRecord(s),
		Metrics:  config.Metrics{Listen: fmt.Sprintf("127.0.0.1:%d", s.DNSCP.MetricsPort)},
	}
	for _, site := range s.Sites {
		c.VIPs = append(c.VIPs, site.VIPs...)
	}
	var b bytes.Buffer
	b.WriteString(banner)
	encode := yaml.NewEncoder(&b)
	encode.SetIndent(2)
	if err := encode.Encode(c); err != nil {
		return "", fmt.Errorf("%s: %w", config.File, err)
	}
	if err := encode.Close(); err != nil {
		return "", fmt.Errorf("%s: %w", config.File, err)
	}
	return b.String(), nil
}

// dnscpRecord is the record of the seed, and how it is kept.
func dnscpRecord(s seeds.Seed) config.DNS {
	if s.DNS.Name == "" {
		return config.DNS{}
	}
	d := config.DNS{
		Name: s.FQDN(s.DNS.Name), ReadName: s.FQDN(s.DNS.ReadName), Zone: s.DNS.Zone, Servers: s.DNS.Servers,
		TTL: int(s.DNS.TTL), Auth: config.Auth(s.DNS.Auth),
	}
	switch d.Auth {
	case config.AuthTSIG:
		d.KeyName, d.Algorithm, d.SecretFile = s.DNS.KeyName, config.Algorithm(s.DNS.Algorithm), dnscpSecret
	case config.AuthGSSTSIG:
		d.Realm, d.Account, d.NSUpdate, d.SecretFile = s.DNS.Realm, s.DNS.Account, s.DNS.NSUpdate, dnscpSecret
	}
	return d
}

// callbacks are Patroni's: the seed's, and where it has none and there is a guard, what
// wakes that.
func callbacks(s seeds.Seed, self seeds.Node) map[string]string {
	c := self.Patroni.Callbacks
	all := given(map[string]string{
		"on_start": c.OnStart, "on_stop": c.OnStop, "on_restart": c.OnRestart,
		"on_reload": c.OnReload, "on_role_change": c.OnRoleChange,
	})
	if s.KeepsVIPs(self) {
		for _, event := range []string{"on_start", "on_stop", "on_role_change"} {
			if all[event] == "" {
				all[event] = dnscpCallback
			}
		}
	}
	return all
}

// beforeStop is what Patroni runs before it stops PostgreSQL: the VIP goes first, so that
// nobody connects to what is about to stop.
func beforeStop(s seeds.Seed, self seeds.Node, can abilities) string {
	if s.KeepsVIPs(self) && can.hasBeforeStop() {
		return dnscpBeforeStop
	}
	return ""
}

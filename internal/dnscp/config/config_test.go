package config

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	c, err := Parse("config.yml", []byte(`
patroni: {url: "https://172.16.32.11:8008", cafile: /etc/banyan/pki/ca.crt, watchdog: {safety_margin: -1}}
vips: [172.16.32.180, "2001:db8::180"]
dns: {name: pgsql-cl.demo.ru, auth: tsig, key_name: pgsql-cl., secret_file: /etc/dnscp/secret}
`))
	if err != nil {
		t.Fatal(err)
	}
	if c.DNS.TTL != 1200 || c.Patroni.Watchdog.Mode != "automatic" || len(c.VIPs) != 2 {
		t.Errorf("read as %+v", c)
	}
}

// A server is an address or a name, with or without a port.
func TestServers(t *testing.T) {
	for _, server := range []string{"dc1.demo.ru", "dc1.demo.ru.", "dc1.demo.ru:5353", "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53"} {
		_, err := Parse("config.yml", []byte("patroni: {url: 'https://172.16.32.11:8008'}\nvips: [10.0.0.1]\n"+
			"dns: {name: a.b.c, servers: ['"+server+"'], auth: gss-tsig, realm: B.C, secret_file: /secret}"))
		if err != nil {
			t.Errorf("%s: %v", server, err)
		}
	}
}

func TestRefused(t *testing.T) {
	const patroni = "patroni: {url: 'https://172.16.32.11:8008'}\n"
	for text, want := range map[string]string{
		"vips: [172.16.32.180]":                                                                        "\"patroni\"",
		"patroni: {cafile: /ca.crt}":                                                                   `missing "url"`,
		"patroni: {url: 172.16.32.11:8008}":                                                            "is no address of a REST API",
		"patroni: {url: 'https://10.0.0.1:8008', certfile: /a.crt}":                                    `missing "keyfile"`,
		"patroni: {url: 'https://10.0.0.1:8008', keyfile: /a.key}":                                     "the key of patroni.certfile",
		patroni + "vips: [0.0.0.0]":                                                                    "no address that a host may share",
		patroni + "vips: [172.16.32.180, 172.16.32.180]":                                               "listed twice",
		patroni + "hold_down: 1":                                                                       "too short",
		patroni + "dns: {ttl: 30}":                                                                     "without dns.name",
		patroni + "dns: {name: pgsql-cl.demo.ru}":                                                      "there is none",
		patroni + "vips: [10.0.0.1]\ndns: {name: pgsql-cl}":                                            "no whole name",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.demo.ru, zone: demo.com}":                           "no whole name",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, read_name: A.b.c.}":                            "a name of their own",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, ttl: 0}":                                       "out of range",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, auth: tsig}":                                   `missing "secret_file"`,
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, nsupdate: true}":                               "this is for auth gss-tsig",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, secret_file: /secret}":                         "which has no secret",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, auth: kerberos}":                               "gss-tsig",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, realm: B.C}":                                   "this is for auth gss-tsig",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, servers: ['']}":                                "is no server",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, servers: ['b:0']}":                             "is no server",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, servers: ['b:domain']}":                        "is no server",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, servers: ['http://b']}":                        "is no server",
		patroni + "vips: [10.0.0.1]\ndns: {name: a.b.c, auth: gss-tsig, secret_file: /s, realm: 'B}'}": "no realm of Kerberos",
		"patroni: {url: 'http://10.0.0.1:8008', watchdog: {safety_margin: -2}}":                        "out of range",
	} {
		if _, err := Parse("config.yml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngives %v, want %q", text, err, want)
		}
	}
}

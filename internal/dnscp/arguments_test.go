package dnscp

import (
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	"banyan/internal/dnscp/config"
)

// TestParseCall has the command lines that dnscp.sh takes.
func TestParseCall(t *testing.T) {
	t.Chdir(t.TempDir())
	two := []netip.Addr{netip.MustParseAddr("172.16.32.180"), netip.MustParseAddr("172.16.64.180")}
	for line, want := range map[string]Call{
		"-vips|172.16.32.180,172.16.64.180|-pwdfile|/etc/patroni/dnscp.secret|--|on_role_change|master|pgsql-cl": {
			VIPs: two, PasswordFile: "/etc/patroni/dnscp.secret", TTL: 1200, Action: "on_role_change", Role: "master", Scope: "pgsql-cl",
		},
		"-vips|172.16.32.180,172.16.64.180|-pwdfile||-dnszonefqdn|demo.ru|-dnsserver|172.16.32.1|-ttl|30|-verbose|-D|--|on_schedule|registerdns|pgsql-cl": {
			VIPs: two, Zone: "demo.ru", Server: "172.16.32.1", TTL: 30, Verbose: true, Debug: true, Action: "on_schedule", Role: "registerdns", Scope: "pgsql-cl",
		},
		"-dnszonefqdn||-dnsserver||--|on_stop|replica|pgsql-cl":  {TTL: 1200, Action: "on_stop", Role: "replica", Scope: "pgsql-cl"},
		"--vips|172.16.32.180|--|on_start|standby_leader|a":      {VIPs: two[:1], TTL: 1200, Action: "on_start", Role: "standby_leader", Scope: "a"},
		"-vips|172.16.32.180, 172.16.64.180|--|on_start|demoted": {VIPs: two, TTL: 1200, Action: "on_start", Role: "demoted"},
		"-h":        {Help: true, TTL: 1200, PasswordFile: "dnscp.secret"},
		"--help":    {Help: true, TTL: 1200, PasswordFile: "dnscp.secret"},
		"--version": {Version: true, TTL: 1200, PasswordFile: "dnscp.secret"},
		"-version":  {Version: true, TTL: 1200, PasswordFile: "dnscp.secret"},
		// A value may look like an option.
		"-dnszonefqdn|-ttl|--|on_start|replica|a": {Zone: "-ttl", TTL: 1200, Action: "on_start", Role: "replica", Scope: "a"},
	} {
		got, err := ParseCall(strings.Split(line, "|"))
		if err != nil {
			t.Errorf("%s: %v", line, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s\nis read as %+v,\nwant       %+v", line, got, want)
		}
	}
	for line, want := range map[string]string{
		"-vips|10.0.0|--|on_start|replica|a":   `"10.0.0" is no IP address`,
		"-vips|10.0.0.1|--":                    "the action is missing",
		"--|on_bootstrap|replica|a":            "is no action",
		"-quiet|--|on_start|replica|a":         "unknown",
		"-ttl|soon|--|on_start|replica|a":      "invalid argument",
		"-ttl|0|--|on_start|replica|a":         "no number of seconds",
		"-vips|10.0.0.1|--|on_start|a|b|c|d|e": "too many",
	} {
		if _, err := ParseCall(strings.Split(line, "|")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %q", line, err, want)
		}
	}
}

// TestDefaultPasswordFile: dnscp.sh reads dnscp.secret of the current directory.
func TestDefaultPasswordFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("dnscp.secret", []byte("P@ssw0rd"), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{"--|on_start|replica|a": "dnscp.secret", "-pwdfile||--|on_start|replica|a": ""} {
		c, err := ParseCall(strings.Split(line, "|"))
		if err != nil || c.PasswordFile != want {
			t.Errorf("%s: the password is in %q (%v), want %q", line, c.PasswordFile, err, want)
		}
	}
}

// TestWants has what dnscp.sh does of itself with each role, but that demoted and
// standby_leader leave the VIP there.
func TestWants(t *testing.T) {
	for role, want := range map[string]standing{
		"master": leads, "primary": leads, "promoted": leads, "replica": follows, "demoted": follows,
		"standby_leader": follows, "uninitialized": follows, registerRole: leads,
	} {
		for _, action := range []string{"on_start", "on_role_change"} {
			if got := (Call{Action: action, Role: role}).wants(); got != want {
				t.Errorf("%s %s: %v, want %v", action, role, got, want)
			}
		}
		if got := (Call{Action: "on_stop", Role: role}).wants(); got != follows {
			t.Errorf("on_stop %s: %v", role, got)
		}
	}
}

func TestCallDNS(t *testing.T) {
	for _, c := range []struct {
		call Call
		want config.DNS
	}{
		{Call{Scope: "pgsql-cl"}, config.DNS{}},
		{Call{Scope: "pgsql-cl", Zone: "demo.ru.", TTL: 30}, config.DNS{Name: "pgsql-cl.demo.ru", Zone: "demo.ru.", TTL: 30, Auth: "none", Algorithm: "hmac-sha256"}},
		{Call{Scope: "pgsql-cl", PasswordFile: "/s", Server: "dc1", TTL: 30}, config.DNS{
			Name: "pgsql-cl", TTL: 30, Servers: []string{"dc1"}, Auth: "gss-tsig", SecretFile: "/s", Algorithm: "hmac-sha256",
		}},
	} {
		if got := c.call.DNS(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: %+v, want %+v", c.call, got, c.want)
		}
	}
}

// Package config is the configuration file of dnscp's guard. It holds no secret: those are
// in files of their own, which it names.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"banyan/internal/strict"
)

// File is where the guard's configuration is.
const File = "/etc/dnscp/config.yml"

// Config is what the guard keeps, and by whose word.
type Config struct {
	// The Patroni of this host, which says who leads.
	Patroni Patroni `yaml:"patroni" required:"true"`
	// The virtual addresses of the leader. A host has those of the subnets that it is in.
	VIPs []netip.Addr `yaml:"vips"`
	// The interface for the VIPs; by default the one that is in their subnet.
	Interface string `yaml:"interface,omitempty"`
	// For how long the VIPs may stay where Patroni no longer says that this host leads, in
	// seconds; by default what ttl, loop_wait, retry_timeout and the watchdog leave.
	HoldDown int `yaml:"hold_down,omitempty"`
	// The name that leads to the VIPs.
	DNS DNS `yaml:"dns,omitempty"`
	// Where numbers for Prometheus are.
	Metrics Metrics `yaml:"metrics,omitempty"`
}

// Patroni is where the REST API of this host's Patroni is, and what of Patroni's
// configuration the API does not tell.
type Patroni struct {
	// Such as https://172.16.32.11:8008: restapi.connect_address.
	URL string `yaml:"url" required:"true"`
	// The authority of its certificate; by default those that the host trusts.
	CAFile string `yaml:"cafile,omitempty"`
	// The certificate to show, where restapi.verify_client is required, and its key.
	CertFile string `yaml:"certfile,omitempty"`
	KeyFile  string `yaml:"keyfile,omitempty"`
	// Patroni's use of a watchdog, as in its own configuration.
	Watchdog Watchdog `yaml:"watchdog"`
}

// Watchdog is that section of Patroni's: https://patroni.readthedocs.io/en/latest/watchdog.html
type Watchdog struct {
	// off, automatic or required.
	Mode WatchdogMode `yaml:"mode" default:"automatic"`
	// How long before the leader's key expires the watchdog fires, in seconds; -1 is half of ttl.
	SafetyMargin int `yaml:"safety_margin" default:"5"`
}

// WatchdogMode is whether Patroni uses a watchdog.
type WatchdogMode string

// WatchdogOff is that it does not, WatchdogRequired that nobody leads without one.
const (
	WatchdogOff      WatchdogMode = "off"
	WatchdogRequired WatchdogMode = "required"
)

// Enum lists the modes.
func (WatchdogMode) Enum() []string {
	return []string{string(WatchdogOff), "automatic", string(WatchdogRequired)}
}

// DNS is the record, and how it is kept: https://www.rfc-editor.org/rfc/rfc2136
type DNS struct {
	// The name, such as pgsql-cl.demo.ru; without it there is no record.
	Name string `yaml:"name,omitempty"`
	// A second name, for all replicas that stream.
	ReadName string `yaml:"read_name,omitempty"`
	// The zone that the names are in; by default the one whose SOA record DNS finds.
	Zone string `yaml:"zone,omitempty"`
	// The servers that take updates, by address or name, each with :PORT behind it where that is
	// not 53; by default those that the zone's SOA and NS records name. They are tried in turn.
	Servers []string `yaml:"servers,omitempty"`
	// How long clients may keep the record, in seconds.
	TTL int `yaml:"ttl" default:"1200"`
	// How an update is authorized.
	Auth Auth `yaml:"auth" default:"none"`
	// The name of the TSIG key.
	KeyName string `yaml:"key_name,omitempty"`
	// Its algorithm.
	Algorithm Algorithm `yaml:"algorithm,omitempty" default:"hmac-sha256"`
	// The Kerberos realm of gss-tsig, where it is not the one that DNS has for the zone.
	Realm string `yaml:"realm,omitempty"`
	// The account of gss-tsig; by default the first label of name with a $ behind it, which is that of a computer.
	Account string `yaml:"account,omitempty"`
	// The file with the TSIG key in base64, or with the password of the account.
	SecretFile string `yaml:"secret_file,omitempty"`
	// Whether nsupdate -g is tried where gss-tsig by dnscp itself fails.
	NSUpdate bool `yaml:"nsupdate,omitempty"`
}

// Auth is how an update is authorized.
type Auth string

// The ways: https://www.rfc-editor.org/rfc/rfc8945 and https://www.rfc-editor.org/rfc/rfc3645
const (
	AuthNone    Auth = "none"
	AuthTSIG    Auth = "tsig"
	AuthGSSTSIG Auth = "gss-tsig"
)

// Enum lists the ways.
func (Auth) Enum() []string { return []string{string(AuthNone), string(AuthTSIG), string(AuthGSSTSIG)} }

// Algorithm is the hash of a TSIG key.
type Algorithm string

// Enum lists the algorithms that RFC 8945 recommends.
func (Algorithm) Enum() []string {
	return []string{"hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"}
}

// Metrics is where numbers for Prometheus are.
type Metrics struct {
	// The address and port that they are served at by HTTP; by default nowhere.
	Listen string `yaml:"listen,omitempty"`
	// The file that they are written to, for node_exporter's textfile collector; by default none.
	Textfile string `yaml:"textfile,omitempty"`
}

// Read reads a configuration file.
func Read(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("%w: there is no guard without it; an example is in /usr/share/doc/banyan-dnscp/examples", err)
	}
	if err != nil {
		return Config{}, err
	}
	return Parse(path, data)
}

// Parse reads the configuration in data; name is what problems call it.
func Parse(name string, data []byte) (Config, error) {
	var c Config
	d := strict.Kind{Noun: "configuration"}.Decode(name, data, &c)
	check(d, c)
	if err := d.Err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func check(d *strict.Document, c Config) {
	if u, err := url.Parse(c.Patroni.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		d.Refuse("patroni.url", "%s is no address of a REST API, such as https://172.16.32.11:8008", strict.Quote(c.Patroni.URL))
	}
	if c.Patroni.CertFile != "" {
		d.Require("patroni.keyfile", "the path of the certificate's key")
	} else {
		d.Refuse("patroni.keyfile", "this is the key of patroni.certfile: set that, or remove this key")
	}
	if c.Patroni.Watchdog.SafetyMargin < -1 {
		d.Refuse("patroni.watchdog.safety_margin", "%d s is out of range: use -1 for half of ttl, or 0 s or more", c.Patroni.Watchdog.SafetyMargin)
	}
	for i, vip := range c.VIPs {
		path := fmt.Sprintf("vips[%d]", i)
		switch {
		case vip.Zone() != "", vip.Is4In6(), vip.IsUnspecified(), vip.IsMulticast(), vip.IsLoopback(), vip.IsLinkLocalUnicast():
			d.Refuse(path, "%s is no address that a host may share", vip)
		case slices.Contains(c.VIPs[:i], vip):
			d.Refuse(path, "%s is listed twice", vip)
		}
	}
	if d.Given("hold_down") && c.HoldDown < 2 {
		d.Refuse("hold_down", "%d s is too short: use 2 s or more", c.HoldDown)
	}
	checkDNS(d, c)
}

func checkDNS(d *strict.Document, c Config) {
	dns := c.DNS
	if dns.Name == "" && !d.Malformed("dns.name") {
		for _, key := range []string{"read_name", "zone", "servers", "ttl", "auth", "key_name", "algorithm", "realm", "account", "secret_file", "nsupdate"} {
			d.Refuse("dns."+key, "without dns.name there is no record: set it, or remove %s", key)
		}
		return
	}
	for key, name := range map[string]string{"name": dns.Name, "read_name": dns.ReadName} {
		if !strings.Contains(strings.TrimSuffix(name, "."), ".") || dns.Zone != "" && !within(name, dns.Zone) {
			d.Refuse("dns."+key, "%s is no whole name in the zone, such as pgsql-cl.demo.ru", strict.Quote(name))
		}
	}
	if same(dns.Name, dns.ReadName) {
		d.Refuse("dns.read_name", "%s is dns.name too: the replicas need a name of their own", strict.Quote(dns.ReadName))
	}
	if len(c.VIPs) == 0 {
		d.Refuse("dns.name", "the record points at VIPs, and there is none: list vips, or remove dns")
	}
	if dns.TTL < 1 || dns.TTL > 7*24*3600 {
		d.Refuse("dns.ttl", "%d s is out of range: use 1 s to a week", dns.TTL)
	}
	for i, server := range dns.Servers {
		if !isServer(server) {
			d.Refuse(fmt.Sprintf("dns.servers[%d]", i), "%s is no server: write an address or a name, such as dc1.demo.ru, "+
				"and :PORT behind it where that is not 53", strict.Quote(server))
		}
	}
	if dns.Realm != "" && !IsDomain(dns.Realm) {
		d.Refuse("dns.realm", "%s is no realm of Kerberos, such as DEMO.RU", strict.Quote(dns.Realm))
	}
	if dns.Auth != AuthNone {
		d.Require("dns.secret_file", "the path of the file with the key or the password")
	}
	if dns.Auth == AuthTSIG {
		d.Require("dns.key_name", "the name of the TSIG key, such as pgsql-cl.")
	}
	for key, auth := range map[string]Auth{"key_name": AuthTSIG, "algorithm": AuthTSIG, "realm": AuthGSSTSIG, "account": AuthGSSTSIG, "nsupdate": AuthGSSTSIG} {
		if dns.Auth != auth {
			d.Refuse("dns."+key, "this is for auth %s, and auth is %s: change that, or remove this key", auth, dns.Auth)
		}
	}
	if dns.Auth == AuthNone {
		d.Refuse("dns.secret_file", "auth is none, which has no secret: change that, or remove this key")
	}
}

// IsDomain tells whether a text is a name of DNS or of a realm, as far as they are good for the
// files and arguments of programs that they are written into, whoever has chosen them.
func IsDomain(s string) bool { return domain.MatchString(s) }

var domain = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// isServer tells whether a text is an address or a name, with or without a port.
func isServer(server string) bool {
	host, _, ok := SplitServer(server)
	_, err := netip.ParseAddr(host)
	return ok && (err == nil || IsDomain(strings.TrimSuffix(host, ".")))
}

// Port is DNS's.
const Port = 53

// SplitServer splits a server, such as 192.0.2.1, 2001:db8::1, [2001:db8::1]:53 or dc1.demo.ru:53,
// into its address or name and its port, which is [Port] where it has none. What is behind the
// colon may be no port: then it is not ok.
func SplitServer(server string) (host string, port uint16, ok bool) {
	if _, err := netip.ParseAddr(server); err == nil {
		return server, Port, true
	}
	host, text, err := net.SplitHostPort(server)
	if err != nil {
		return server, Port, true
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(n), err == nil && n != 0
}

// within tells whether a name is in a zone, or is it.
func within(name, zone string) bool {
	n, z := fold(name), fold(zone)
	return n == z || strings.HasSuffix(n, "."+z)
}

func same(a, b string) bool { return fold(a) == fold(b) }

// fold is a name as others are compared with it: RFC 1035, 2.3.3.
func fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

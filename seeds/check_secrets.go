package seeds

import (
	"encoding/base64"
	"reflect"
	"unicode/utf8"

	"banyan/internal/strict"
)

// shortestPassword is in characters.
const shortestPassword = 8

func (d document) checkSecrets(s Seed) {
	v := reflect.ValueOf(s.Secrets)
	for _, f := range strict.Fields(v.Type()) {
		if secret, ok := reflect.TypeAssert[Secret](v.Field(f.Index)); ok && utf8.RuneCountInString(secret.Reveal()) < shortestPassword {
			d.Refuse("secrets."+f.Key, "%s is shorter than %d characters", f.Key, shortestPassword)
		}
	}
	if _, err := base64.StdEncoding.DecodeString(s.Secrets.TSIGSecret.Reveal()); err != nil {
		d.Refuse("secrets.tsig_secret", "this is not base64: write what tsig-keygen prints after secret, without the quotes")
	}
	for key, need := range s.unusedSecrets() {
		d.Warn("secrets."+key, "%s is for %s, which this cluster does not have: remove it", key, need)
	}
}

// unusedSecrets are the secrets that only some clusters need, by the value that makes
// them so.
func (s Seed) unusedSecrets() map[string]string {
	unused := map[string]string{}
	for key, need := range map[string]struct {
		met bool
		by  string
	}{
		"raft_password": {s.Cluster.DCS == DCSRaft, "cluster.dcs raft"},
		"dns_password":  {s.DNS.Auth == DNSAuthGSSTSIG, "dns.auth gss-tsig"},
		"tsig_secret":   {s.DNS.Auth == DNSAuthTSIG, "dns.auth tsig"},
	} {
		if !need.met {
			unused[key] = need.by
		}
	}
	return unused
}

// checkPKI looks at how long certificates are valid.
func (d document) checkPKI(s Seed) {
	const longest = 36500
	ca, node := int64(s.PKI.CADays), int64(s.PKI.NodeDays)
	d.checkRange("pki.ca_days", ca, 1, longest, "days")
	d.checkRange("pki.node_days", node, 1, longest, "days")
	if ca > 0 && node > ca && node <= longest && !d.Malformed("pki.ca_days") && !d.Malformed("pki.node_days") {
		d.Refuse(d.given("pki.node_days", "pki.ca_days"), "a node's certificate would outlive its authority, %d days against %d: lower node_days, or raise ca_days", node, ca)
	}
}

package verify

import (
	"errors"
	"testing"
	"time"

	"banyan/internal/check"
)

func TestCertificates(t *testing.T) {
	ends := func(after time.Duration) func(*Facts) {
		return func(f *Facts) { f.Certificates.Files[1].NotAfter = now.Add(after) }
	}
	const renew = "build seed mint --renew"
	expect(t, map[string]change{
		"in 30 days":      {what: ends(soon), name: "certificates", state: check.OK, found: "2 are valid; the first ends on 2026-12-26 (/etc/banyan/pki/node.crt)"},
		"in less":         {what: ends(soon - time.Second), name: "certificates", state: check.Warn, found: "/etc/banyan/pki/node.crt ends on 2026-12-26", advice: renew},
		"in this second":  {what: ends(0), name: "certificates", state: check.Warn, found: "node.crt ends on 2026-11-26", advice: renew},
		"a second before": {what: ends(-time.Second), name: "certificates", state: check.Fail, found: "node.crt ended on 2026-11-26", advice: renew},
		"not yet": {
			what: func(f *Facts) { f.Certificates.Files[1].NotBefore = now.AddDate(0, 0, 1) },
			name: "certificates", state: check.Fail, found: "node.crt begins on 2026-11-27 only", advice: "chronyc",
		},
		"the authority": {
			what: func(f *Facts) { f.Certificates.Files[0].NotAfter = now.AddDate(0, 0, 9) },
			name: "certificates", state: check.Warn, found: "/etc/banyan/pki/ca.crt ends on 2026-12-05", advice: "take the authority out of secrets.yaml",
		},
		"of an external etcd": {
			what: func(f *Facts) {
				ends(0)(f)
				f.Certificates.Files[1].Foreign = true
			},
			name: "certificates", state: check.Warn, found: "node.crt ends on", advice: "have who runs that etcd give out new ones",
		},
		"cannot be read": {
			what: func(f *Facts) { f.Certificates.Files[1].Err = errors.New("no such file or directory") },
			name: "certificates", state: check.Fail, found: "/etc/banyan/pki/node.crt: no such file", advice: "systemctl restart banyan-firstboot",
		},
		"of another node": {
			what: func(f *Facts) { f.Certificates.Shown[0].NotAfter = now.AddDate(0, 0, -1) },
			name: "TLS", state: check.Fail, found: "etcd of pgsql-n2 ended on 2026-11-25", advice: renew,
		},
		"another than the seed's": {
			what: func(f *Facts) { f.Certificates.Shown[0].Restart = "systemctl restart etcd" },
			name: "TLS", state: check.Warn, found: "etcd of pgsql-n2 is not the one that the seed has", advice: "systemctl restart etcd",
		},
		"signed by somebody else": {
			what: func(f *Facts) {
				f.Certificates.Shown[0].Err = errors.New("the cluster's authority has not signed its certificate")
			},
			name: "TLS", state: check.Fail, found: "etcd of pgsql-n2: the cluster's authority has not signed", advice: "banyan-firstboot",
		},
		"nobody is there": {what: func(f *Facts) { f.Certificates.Shown = nil }, name: "TLS", state: check.Skip, found: "no service could be reached"},
	})
}

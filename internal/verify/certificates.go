package verify

import (
	"time"

	"banyan/internal/check"
)

// soon is how long before its end a certificate is told of, as at the minting.
const soon = 30 * 24 * time.Hour

// Certificates are those in the node's files, and those that services show to who connects.
type Certificates struct {
	Files []Certificate
	Shown []Certificate // of all services of all nodes that could be reached
}

// Certificate is one, or the first to end of several in one file.
type Certificate struct {
	Name      string // of the file, or the service and its node
	NotBefore time.Time
	NotAfter  time.Time
	Authority bool
	Foreign   bool  // it was not minted for this cluster, but has to do with an external etcd
	Err       error // it cannot be read, or nobody who knows it has signed it
	// Restart is what has a service of this node show the certificate of the seed, where it
	// shows another.
	Restart string
}

func checkCertificates(f Facts) []check.Check {
	checks := judgeCertificates(f, "certificates", f.Certificates.Files)
	if len(f.Certificates.Shown) == 0 {
		return append(checks, check.Skipped("TLS", "no service could be reached")...)
	}
	return append(checks, judgeCertificates(f, "TLS", f.Certificates.Shown)...)
}

func judgeCertificates(f Facts, name string, all []Certificate) []check.Check {
	v := check.Begin(name)
	var first Certificate
	for _, c := range all {
		renew := "build seed mint --renew, and give the nodes their new seeds"
		switch {
		case c.Foreign:
			renew = "have who runs that etcd give out new ones, and see etcd.cacert, etcd.cert and etcd.key of the cluster file"
		case c.Authority:
			renew = "take the authority out of secrets.yaml and mint: every node gets certificates of a new one"
		}
		switch {
		case c.Err != nil:
			v.Fail("systemctl restart banyan-firstboot", "%s: %v", c.Name, c.Err)
		case f.Now.After(c.NotAfter):
			v.Fail(renew, "%s ended on %s", c.Name, c.NotAfter.Format(time.DateOnly))
		case f.Now.Before(c.NotBefore):
			v.Fail("set the clock: chronyc tracking", "%s begins on %s only", c.Name, c.NotBefore.Format(time.DateOnly))
		case c.NotAfter.Sub(f.Now) < soon:
			v.Warn(renew, "%s ends on %s", c.Name, c.NotAfter.Format(time.DateOnly))
		}
		if c.Restart != "" {
			v.Warn(c.Restart, "%s is not the one that the seed has", c.Name)
		}
		if first.Name == "" || c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	return v.End("%s; the first ends on %s (%s)", count(len(all), "is valid", "are valid"), first.NotAfter.Format(time.DateOnly), first.Name)
}

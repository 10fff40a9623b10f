package rootfs

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"banyan/internal/facts"
)

// named is the versions by their keys, but for PostgreSQL, of which there may be several.
func (v Versions) named() map[string]string {
	return map[string]string{"patroni": v.Patroni, "etcd": v.Etcd, "haproxy": v.HAProxy, "systemd": v.Systemd}
}

// Installed is what a machine finds installed that was made from the profile.
func (p *Profile) Installed() facts.Installed {
	v := p.Versions
	return facts.Installed{
		PostgreSQL: v.PostgreSQL,
		Systemd:    facts.ParseVersion(v.Systemd),
		Patroni:    facts.ParseVersion(v.Patroni),
		Etcd:       facts.ParseVersion(v.Etcd),
		HAProxy:    facts.ParseVersion(v.HAProxy),
	}
}

// verifyVersions compares what the profile says with what a node would find.
func (p *Profile) verifyVersions(root string) error {
	installed, err := facts.LookInstalled(root)
	if err != nil {
		return err
	}
	var errs []error
	if !slices.Equal(installed.PostgreSQL, p.Versions.PostgreSQL) {
		errs = append(errs, fmt.Errorf("the tree has PostgreSQL %v, and the profile says versions.postgresql: %v", installed.PostgreSQL, p.Versions.PostgreSQL))
	}
	found := map[string]facts.Version{"patroni": installed.Patroni, "etcd": installed.Etcd, "haproxy": installed.HAProxy, "systemd": installed.Systemd}
	for name, said := range p.Versions.named() {
		if !strings.HasPrefix(found[name].String()+".", said+".") {
			errs = append(errs, fmt.Errorf("the tree has %s %s, and the profile says versions.%s: %q", name, found[name], name, said))
		}
	}
	return errors.Join(errs...)
}

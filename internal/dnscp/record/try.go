package record

import (
	"context"
	"errors"
	"fmt"

	"github.com/miekg/dns"

	"banyan/internal/dnscp/config"
)

// Try tries the way to update a name as far as it goes without an update, from any host: with a
// key, whether a server of the zone takes what is signed with it; with an account, whether it can log
// in and has a server take its signature. With neither there is nothing to try. Whether the key or the
// account may write the name, no server tells before it is asked to.
//
// The zone's servers are tried in turn, until one is well. Else the errors of all are joined.
func (u *Updater) Try(ctx context.Context, name string) error {
	if u.dns.Auth == config.AuthNone {
		return nil
	}
	within, cancel := u.within(ctx)
	defer cancel()
	if err := u.tryAll(within, name); err != nil {
		return failed(ctx, "try to be let update", name, err)
	}
	return nil
}

func (u *Updater) tryAll(ctx context.Context, name string) error {
	zone, err := u.zone(ctx, name)
	if err != nil {
		return err
	}
	var errs []error
	for server, err := range u.servers(ctx, zone) {
		if err == nil {
			if err = u.tryAt(ctx, zone, server); err == nil {
				return nil
			}
			err = fmt.Errorf("%s, %s: %w", server, u.dns.Auth, err)
		}
		errs = append(errs, err)
		if errors.As(err, new(hopeless)) {
			break
		}
	}
	if ctx.Err() != nil {
		errs = append([]error{context.Cause(ctx)}, errs...)
	}
	return errors.Join(errs...)
}

func (u *Updater) tryAt(ctx context.Context, z zone, server Server) error {
	if u.dns.Auth == config.AuthTSIG {
		answer, err := u.query(ctx, "tcp", server.Address, question(z.name, dns.TypeSOA, false), true)
		if err != nil {
			return err
		}
		return authoritative(answer, z.name)
	}
	c, err := u.negotiate(ctx, z, server)
	if err == nil {
		c.close()
		return nil
	}
	if !u.dns.NSUpdate || ctx.Err() != nil {
		return err
	}
	t, failed := u.kinit(ctx, z, server)
	if failed == nil {
		t.remove()
		return nil
	}
	return errors.Join(err, fmt.Errorf("nsupdate -g: %w", failed))
}

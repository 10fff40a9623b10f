package record

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// unreachable is the error of a server that cannot be talked to: another message would
// fare no better.
type unreachable struct{ error }

func (e unreachable) Unwrap() error { return e.error }

// packed is a message as it is sent.
type packed struct {
	id    uint16
	wire  []byte
	still func() error // of an update, nil of a question
}

// exchange sends a message, already packed, and reads the answer to it. Whether sent or not
// decides whether there is a use in asking what became of it. Signatures of answers are not
// looked at, since nothing is believed of an answer that is not looked up. p.still, where there
// is one, is asked last, and may keep it from being sent.
func (u *Updater) exchange(ctx context.Context, network string, server netip.AddrPort, p packed, limit time.Duration) (answer *dns.Msg, sent bool, err error) {
	conn, err := u.dial(ctx, network, server)
	if err != nil {
		return nil, false, unreachable{err}
	}
	c := &dns.Conn{Conn: conn}
	defer func() {
		if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok && err != nil {
			_ = tcp.SetLinger(0) // the kernel would go on sending for minutes
		}
		_ = c.Close() // all was said
	}()
	// The connection ends with the context, and the error says why.
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // fails only where it is closed
	defer stop()
	failed := func(err error) error {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return unreachable{fmt.Errorf("%w: is the server up, and does it answer this host?", err)}
	}
	if ctx.Err() != nil {
		return nil, false, failed(nil)
	}
	if p.still != nil {
		if err := p.still(); err != nil {
			return nil, false, over{err}
		}
	}
	if _, err := c.Write(p.wire); err != nil {
		return nil, true, failed(err) // a part may have gone
	}
	for {
		data, err := c.ReadMsgHeader(nil)
		if err != nil {
			return nil, true, failed(err)
		}
		answer := new(dns.Msg)
		if err := answer.Unpack(data); err != nil && !answer.Truncated {
			return nil, true, fmt.Errorf("its answer is malformed: %w", err)
		}
		if answer.Id == p.id && answer.Response { // by UDP others may be told to this port
			return answer, true, nil
		}
	}
}

// dial connects to a server.
func (u *Updater) dial(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error) {
	within, cancel := context.WithTimeoutCause(ctx, u.limits.dial, fmt.Errorf("no connection within %v", u.limits.dial))
	defer cancel()
	conn, err := u.options.Dial(within, network, server.String())
	if err == nil {
		return conn, nil
	}
	if within.Err() != nil {
		err = context.Cause(within)
	}
	return nil, fmt.Errorf("%w: is the server up, and does a firewall let this host reach its port %d by %s?", err, server.Port(), network)
}

// query asks a server, with the key where it is to be signed.
func (u *Updater) query(ctx context.Context, network string, server netip.AddrPort, m *dns.Msg, sign bool) (*dns.Msg, error) {
	p, err := u.packed(m, sign)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", person(m.Question[0].Name), err)
	}
	answer, _, err := u.exchange(ctx, network, server, p, u.limits.answer)
	return answer, err
}

// ask asks servers for the records of a name, each a little after the one before it or when
// that has failed, until one of them has an answer. That there is no such name is one. They are
// asked by UDP, which may lose it, and then by TCP, which may be closed.
func (u *Updater) ask(ctx context.Context, s sources, name string, kind uint16) (*dns.Msg, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type attempt struct {
		network string
		server  netip.AddrPort
	}
	type result struct {
		attempt
		answer *dns.Msg
		err    error
	}
	var attempts []attempt
	for _, network := range []string{"udp", "tcp"} {
		for _, server := range u.ordered(s.servers) {
			attempts = append(attempts, attempt{network, server})
		}
	}
	m := question(name, kind, true)
	results := make(chan result, len(attempts)) // whom nobody waits for any more ends as well
	running, next := 0, time.NewTimer(0)
	defer next.Stop()
	var errs []error
	for running+len(attempts) > 0 {
		select {
		case <-next.C:
			if len(attempts) == 0 {
				continue
			}
			a := attempts[0]
			attempts = attempts[1:]
			running++
			go func() {
				answer, err := u.answered(ctx, a.network, a.server, m, s.keyed)
				results <- result{a, answer, err}
			}()
			next.Reset(u.limits.stagger)
		case r := <-results:
			running--
			if r.err == nil {
				u.preferResolver(r.server)
				return r.answer, nil
			}
			errs = append(errs, fmt.Errorf("%s by %s: %w", r.server, r.network, r.err))
			next.Reset(0)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return nil, fmt.Errorf("ask for %s %s: %w", dns.TypeToString[kind], person(name), errors.Join(errs...))
}

// answered asks one server, and by TCP where the answer is longer than UDP has room for.
func (u *Updater) answered(ctx context.Context, network string, server netip.AddrPort, m *dns.Msg, sign bool) (*dns.Msg, error) {
	answer, err := u.query(ctx, network, server, m, sign)
	if err == nil && answer.Truncated && network == "udp" {
		answer, err = u.query(ctx, "tcp", server, m, sign)
	}
	if err == nil {
		if t := answer.IsTsig(); t != nil && t.Error != 0 {
			return nil, signature(t, time.Now())
		}
	}
	if err == nil && answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError {
		err = fmt.Errorf("it answers %s", rcode(answer.Rcode))
	}
	return answer, err
}

// ordered is servers with that first which answered last.
func (u *Updater) ordered(servers []netip.AddrPort) []netip.AddrPort {
	u.mu.Lock()
	defer u.mu.Unlock()
	servers = slices.Clone(servers)
	slices.SortStableFunc(servers, func(a, b netip.AddrPort) int { return first(a == u.resolver, b == u.resolver) })
	return servers
}

func (u *Updater) preferResolver(server netip.AddrPort) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.resolver = server
}

// first sorts what something holds for before what it does not.
func first(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	}
	return 0
}

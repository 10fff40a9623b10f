package inspect

import (
	"context"
	"net"
	"sync"

	"banyan/internal/dnscp/vip"
	"banyan/internal/verify"
)

// connectionPoint looks for the leader's VIPs on this node, and has its resolver look up the
// names.
func (n subject) connectionPoint(ctx context.Context) *verify.ConnectionPoint {
	if !n.seed.KeepsVIPs(n.self) {
		return nil
	}
	var found verify.ConnectionPoint
	interfaces, err := vip.Interfaces()
	found.HeldErr = err
	for _, site := range n.seed.Sites {
		for _, addr := range site.VIPs {
			if len(vip.Held(interfaces, addr)) > 0 {
				found.Held = append(found.Held, addr)
			}
		}
	}
	var asking sync.WaitGroup
	asking.Go(func() { found.Name = lookUp(ctx, n.seed.FQDN(n.seed.DNS.Name)) })
	asking.Go(func() { found.ReadName = lookUp(ctx, n.seed.FQDN(n.seed.DNS.ReadName)) })
	asking.Wait()
	return &found
}

// lookUp has this node's resolver look up a name, where there is one.
func lookUp(ctx context.Context, name string) verify.Lookup {
	if name == "" {
		return verify.Lookup{}
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	for i, a := range addresses {
		addresses[i] = a.Unmap()
	}
	return verify.Lookup{Addresses: addresses, Err: err}
}

package inspect

import (
	"net/netip"
	"testing"

	"banyan/seeds"
)

// A VIP of somebody else is not here, and who never leads is not looked at.
func TestConnectionPoint(t *testing.T) {
	s := seeds.Seed{Sites: []seeds.Site{{VIPs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}}}
	database := seeds.Node{Services: []seeds.Service{seeds.ServicePostgreSQL}}
	found := subject{seed: &s, self: database}.connectionPoint(t.Context())
	if found == nil || found.HeldErr != nil || len(found.Held) > 0 {
		t.Fatalf("of the VIPs: %+v", found)
	}
	if found.Name.Err != nil || found.Name.Addresses != nil {
		t.Errorf("of no name: %+v", found.Name)
	}
	if found := (subject{seed: &s, self: seeds.Node{Services: []seeds.Service{seeds.ServiceWitness}}}).connectionPoint(t.Context()); found != nil {
		t.Errorf("of a witness: %+v", found)
	}
}

// The resolver's own answer needs no network.
func TestLookUp(t *testing.T) {
	found := lookUp(t.Context(), "localhost")
	if found.Err != nil || len(found.Addresses) == 0 || !found.Addresses[0].IsLoopback() || found.Addresses[0].Is4In6() {
		t.Errorf("localhost is %+v", found)
	}
}

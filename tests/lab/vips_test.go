//go:build lab

package lab

import (
	"errors"
	"testing"
)

// TestAddressesOfHost asks for those of a host while it is turned on and off.
func TestAddressesOfHost(t *testing.T) {
	t.Parallel()
	h := newHost(t, newNetwork(t, prefix), "pgsql-n1", address(11))
	done := make(chan error)
	go func() {
		for range 50 {
			if err := errors.Join(addNamespace(h.id()), deleteNamespace(h.id())); err != nil {
				done <- err
				return
			}
		}
		close(done)
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
			if _, err := h.addresses(); err != nil {
				t.Error(err)
			}
		}
	}
}

//go:build lab && soak

package lab

import "testing"

// TestEveryOrder has a cluster of three born in every order.
func TestEveryOrder(t *testing.T) {
	t.Parallel()
	for _, order := range orders {
		t.Run(orderName(order), func(t *testing.T) {
			t.Parallel()
			bornInOrder(t, order)
		})
	}
}

//go:build boot && soak

package boot

import (
	"fmt"
	"testing"
)

// TestPowerCutEverywhere cuts the power of a first boot at points that are spread
// over all of it, where TestPowerCut draws two.
func TestPowerCutEverywhere(t *testing.T) {
	const points = 24
	for i := range int64(points) {
		firmware := []firmware{uefi, bios}[i%2]
		after := firstBootWrites * i / points
		t.Run(fmt.Sprintf("%s after %d writes", firmware, after), func(t *testing.T) {
			t.Parallel()
			checkPowerCut(t, firmware, after)
		})
	}
}

package wire

import (
	"math"
	"testing"
)

func TestSampled(t *testing.T) {
	t.Parallel()
	// printf '\x01%.0s' {1..16} followed by "berlin": its first 8 bytes.
	var seed Nonce
	for i := range seed {
		seed[i] = 1
	}
	const h = 0xba223f3dfe5a17dc
	if Sampled(seed, h, "berlin") || !Sampled(seed, h+1, "berlin") || !Sampled(seed, math.MaxUint64, "x") {
		t.Error("Sampled is not: hash below threshold")
	}
}

// The epoch counts before the round, and that before the attempt.
func TestStampOrder(t *testing.T) {
	t.Parallel()
	rising := []Stamp{{}, {0, 0, 1}, {0, 1, 0}, {0, 1, 2}, {1, 0, 0}, {1, 0, 3}, {1, 7, 1}, {2, 1, 1}}
	for i, a := range rising {
		for j, b := range rising {
			if got, want := a.Compare(b), min(max(i-j, -1), 1); got != want {
				t.Errorf("%v against %v: %d, want %d", a, b, got, want)
			}
		}
	}
}

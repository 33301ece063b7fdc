//go:build !purego

package model

import (
	"crypto/fips140"
	"encoding/binary"

	"golang.org/x/sys/cpu"
)

const (
	// atOnce is how many leaves sum16 hashes, and worthIt from how many on that is less work
	// than one after the other: then some of them are hashed twice.
	atOnce, worthIt = 16, 8
)

// canWide: the processor can, and nobody asked for a validated module.
var canWide = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && !fips140.Enabled()

// sum16 leaves the state of SHA-256 after each of the leaves and its padding.
//
//go:noescape
func sum16(state *[8][atOnce]uint32, leaves *[atOnce]*[Leaf]byte)

// wide adds the hashes of whole leaves of b, as many as are worth it, and returns the
// rest of b.
func (l Leaves) wide(b []byte) (Leaves, []byte) {
	for canWide && len(b) >= worthIt*Leaf {
		n := min(len(b)/Leaf, atOnce)
		var leaves [atOnce]*[Leaf]byte
		for i := range leaves {
			leaves[i] = (*[Leaf]byte)(b[min(i, n-1)*Leaf:])
		}
		var state [8][atOnce]uint32
		sum16(&state, &leaves)
		for i := range n {
			for j := range state {
				l = binary.BigEndian.AppendUint32(l, state[j][i])
			}
		}
		b = b[n*Leaf:]
	}
	return l, b
}

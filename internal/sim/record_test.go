package sim

import "math/bits"

// seal gives a record its hash.
func (r *record) seal() {
	h := uint64(0x51ed270b)
	mix := func(x uint64) {
		h = bits.RotateLeft64((h^x)*0x9e3779b97f4a7c15, 27)
	}
	mix(r.prev)
	mix(r.epoch)
	mix(r.round)
	mix(uint64(r.attempt))
	if r.committed {
		mix(1)
	}
	if r.adopted {
		mix(2)
	}
	mix(short(r.base))
	mix(short(r.model))
	mix(short(r.order))
	for _, e := range r.entries {
		mix(uint64(e.Index))
		mix(short(e.Content))
		mix(e.Weight)
		mix(uint64(e.Verdict))
		mix(e.Staleness)
	}
	r.hash = h
}

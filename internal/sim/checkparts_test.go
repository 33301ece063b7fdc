package sim

import "github.com/fedmq/fedmq/internal/owner"

// outgoing is what one life of an aggregator has sent of its own.
type outgoing struct {
	acked map[owner.SendPart]bool // parts that are on the broker
	order bool                    // an order has left since the link is up
	runs  map[string]bool         // uploads that have a place, by member
}

func newOutgoing() outgoing {
	return outgoing{acked: map[owner.SendPart]bool{}, runs: map[string]bool{}}
}

// part: after a reconnect the order goes first, then the parts once more that were on
// the broker (TR-54).
func (c *checker) part(a *agg, p owner.SendPart) {
	needed := p.Needed
	p.Needed = false
	if a.out.acked[p] && !a.out.order && !needed {
		c.w.violate("TR-54", "part %d of version %d goes out once more before the order", p.Index, p.Version)
	}
}

func (c *checker) partLanded(a *agg, p owner.SendPart) {
	p.Needed = false
	a.out.acked[p] = true
}

// runs notes whether an upload of a member has a place.
func (c *checker) runs(a *agg, member string, on bool) {
	if delete(a.out.runs, member); on {
		a.out.runs[member] = true
	}
}

// sending: who has no place does not send, and nothing waits for it.
func (c *checker) sending(a *agg) {
	for _, member := range a.t.Round().Sending() {
		if !a.out.runs[member] {
			c.w.violate("R-47", "the upload of %s has no place, and a deadline would wait for it", member)
		}
	}
}

package owner

import (
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// retryEvery is the time between two publications of an order without a PUBACK.
const retryEvery = 10_000

// publication is what one order needs on the broker: the model first, or its manifest
// when the parts are there, then the record's head, then the order itself, the commit
// point for sites. They leave in this order, without waiting for each other. Of two
// orders the newer one alone is published to its end.
type publication struct {
	list   []Own      // its messages, in the order of publication
	has    [Owns]bool // there is such a message
	copies [Owns]transfer.Copy
	order  round.Order
	of     version // whose model is among the messages
	make   bool    // their bytes are to be made
	slots  int

	under  bool // it is under way, or waits for parts
	flying bool // its messages are on their way
	again  bool // and belong to an older publication
	done   bool // all of it has its PUBACK
	tried  int64
	head   bool // the head is to be published by itself

	parts   wire.Blob // of the model; none: it is inline
	slot    uint32
	shelved bool // all of them were on the broker once
	refill  bool // they are to be published once more, when the order is out
	mender  *transfer.Mender
	mendAt  int64
	found   ManifestShown // on the broker when the process began

	gone     []transfer.PartFilter // topics of what was withdrawn, to be cleared first
	stale    []transfer.PartFilter // topics of an earlier layout, likewise
	clearing bool                  // one is being cleared
	clears   clearing              // which
	stuck    bool                  // that failed: it waits for the next connect
}

// version names a published model: the same content is another version after a round
// that changed nothing.
type version struct {
	content model.Hash
	number  uint64
}

// newPublication is of own messages in their order, a model first: a task has one of model,
// head and order, and one of the released version beside it.
func newPublication(slots int, stale []transfer.PartFilter, list ...Own) publication {
	p := publication{list: list, slots: slots, mender: transfer.NewMender(), stale: stale}
	p.has[OwnHead] = slices.Contains(list, OwnHead)
	return p
}

// model is the message of the model.
func (p *publication) model() Own { return p.list[0] }

// last is the message that ends the publication: the order, where there is one.
func (p *publication) last() Own { return p.list[len(p.list)-1] }

// publish puts an order on the broker. The same order is the same bytes again.
func (p *publication) publish(o round.Order, m Model, up bool, now int64) {
	of := version{o.Base, o.Version}
	p.gone = nil // its topics are used again
	fresh := p.of != of || !p.has[p.model()]
	if fresh {
		p.of, p.has[p.model()] = of, true
		p.copies[p.model()].Replace()
		p.hold(o, m, now)
		p.make = true
	}
	if last := p.last(); p.order.Stamp != o.Stamp || !p.has[last] || fresh {
		p.order, p.has[last] = o, true
		p.copies[last].Replace()
		p.make = true
	}
	p.done, p.tried = false, now
	if !up {
		return // the round sends it again when the link is up
	}
	p.under, p.again, p.head = true, p.flying, false
}

// hold takes over the parts of a version. A manifest on the broker says that all of
// them were there.
func (p *publication) hold(o round.Order, m Model, now int64) {
	p.parts, p.shelved, p.refill, p.mendAt = m.Blob, false, false, 0
	if !p.inParts() {
		return
	}
	p.slot = p.slotOf(o.Version)
	p.shelved = p.found == ManifestShown{p.model(), m.Blob.Key(), p.slot}
	p.mender = p.mender.Next() // nothing of the version before counts
	p.mender.Hold(m.Blob)
	if p.refill = p.shelved; !p.refill {
		p.mender.All(now)
	}
}

// slotOf is where a version's parts lie (TR-53).
func (p *publication) slotOf(number uint64) uint32 { return uint32(number % uint64(p.slots)) } // at most topics.MaxSlots

func (p *publication) inParts() bool { return p.parts.Length > 0 }

// outdated: the model is not the newest any more; none of its parts goes out.
func (p *publication) outdated() { p.parts, p.mendAt = wire.Blob{}, 0 }

// headChanged: there is a new record.
func (p *publication) headChanged() {
	p.copies[OwnHead].Replace()
	p.head = true // unless the next order's publication takes it along
}

// connected: a broker may have lost all that was retained. An order that waits for
// its parts goes on with those that are not there; else the order goes first, and all
// parts once more behind it (TR-54).
func (p *publication) connected(now int64) {
	p.done, p.head, p.stuck = false, p.has[OwnHead], false
	for i := range p.copies {
		p.copies[i].Unasked() // all is published again
	}
	done, _ := p.mender.Progress()
	p.refill = p.inParts() && (p.shelved || done > 0)
	if p.inParts() && p.shelved {
		p.mender = p.mender.Next()
		p.mender.Hold(p.parts)
	}
	p.mender.Connected(now)
}

func (p *publication) disconnected(now int64) { p.mender.Disconnected(now) }

// sent takes the outcome of a publication's messages, and reports the order that is
// out with them.
func (p *publication) sent(ok bool, now int64) (o wire.Stamp, out bool) {
	p.flying = false
	switch {
	case p.again:
		p.again = false
		return o, false
	case !p.under:
		return o, false
	case !ok:
		p.under = false
		return o, false
	}
	p.under, p.done = false, true
	if p.refill {
		p.refill = false
		p.mender.All(now)
	}
	return p.order.Stamp, true
}

// partSent takes the outcome of a part.
func (p *publication) partSent(ev PartSent, now int64) {
	if p.inParts() && ev.Version == p.of.number {
		p.mender.Sent(now, ev.Index, ev.OK)
	}
}

// TheModel stands for the topic of the model itself among those of its parts.
var TheModel = transfer.PartFilter{Slot: topics.MaxSlots}

// withdraw takes the model off the broker: its message, and as many parts in each slot.
func (p *publication) withdraw(parts int) {
	p.has, p.of, p.order = [Owns]bool{}, version{}, round.Order{}
	p.make, p.under, p.again, p.done, p.stuck = false, false, p.flying, true, false
	p.outdated()
	p.gone = []transfer.PartFilter{TheModel}
	for slot := range p.slots {
		for i := range parts {
			p.gone = append(p.gone, transfer.PartFilter{Slot: uint32(slot), Index: uint32(i)}) // few
		}
	}
}

// cleared takes the outcome of clearing a topic, and reports whether none is left of an
// earlier layout, or of what was withdrawn.
func (p *publication) cleared(ok bool) (former, gone bool) {
	p.clearing = false
	p.stuck = !ok
	switch was := p.clears; {
	case !ok:
	case was == p.nextGone() && len(p.gone) > 0:
		p.gone = p.gone[1:]
		return false, len(p.gone) == 0
	case len(p.stale) > 0 && was == (clearing{p.stale[0], true}):
		p.stale = p.stale[1:]
		return len(p.stale) == 0, false
	}
	return false, false
}

// clearing names a topic that is cleared.
type clearing struct {
	transfer.PartFilter
	former bool
}

func (p *publication) nextGone() clearing {
	if len(p.gone) == 0 {
		return clearing{}
	}
	return clearing{p.gone[0], false}
}

// seen compares what the broker shows.
func (p *publication) seen(ev Seen, now int64) {
	if ev.Own == OwnCanary && !ev.Right && !p.has[ev.Own] && len(p.gone) == 0 {
		p.gone = []transfer.PartFilter{TheModel} // nobody is to obey it
	}
	if ev.Own < Owns {
		p.copies[ev.Own].Shown(ev.Right || !p.has[ev.Own], now)
	}
}

// ask says that the broker is to show what it has, and reports whether it is.
func (p *publication) ask(now int64) bool {
	if p.under {
		return false
	}
	for i := range p.copies {
		if p.has[i] {
			p.copies[i].Asked(now)
		}
	}
	return true
}

// ready returns what is to be sent now.
func (p *publication) ready(now int64) (msgs []Message) {
	if at := p.retryAt(); at > 0 && now >= at {
		p.done, p.tried, p.under, p.head = false, now, true, false
	}
	if p.make && p.under {
		p.make = false
		msgs = append(msgs, Publish{Own: p.model(), Order: p.order, Slot: p.slot})
	}
	msgs = append(msgs, p.mend(now)...)
	if p.head {
		p.head = false
		msgs = append(msgs, PostOwn{Own: OwnHead})
	}
	if p.under {
		return append(msgs, p.own()...)
	}
	for i := range p.copies { // else the publication brings what should be there, in its order
		if p.has[i] && p.copies[i].Repair(now) {
			msgs = append(msgs, PostOwn{Own: Own(i), Repair: true}) // few
		}
	}
	if !p.clearing && !p.stuck && len(p.gone)+len(p.stale) > 0 { // behind all else
		p.clearing, p.clears = true, p.nextGone()
		if len(p.gone) == 0 {
			p.clears = clearing{p.stale[0], true}
		}
		msgs = append(msgs, Clear{p.model(), p.clears.PartFilter, p.clears.former})
	}
	return msgs
}

// own returns the messages when it is their turn.
func (p *publication) own() []Message {
	if p.flying || p.inParts() && !p.shelved {
		return nil
	}
	p.flying = true
	return []Message{SendOwn{p.list}}
}

// mend returns the parts that are to be published.
func (p *publication) mend(now int64) (msgs []Message) {
	if !p.inParts() {
		return nil
	}
	p.mender.Tick(now)
	rd := p.mender.Ready()
	p.mendAt = rd.Wake
	needed := map[uint32]bool{}
	for _, i := range rd.Needed {
		needed[i] = true
	}
	for _, i := range rd.Publish {
		msgs = append(msgs, SendPart{Own: p.model(), Version: p.of.number, Slot: p.slot, Index: i, Needed: needed[i]})
	}
	p.shelved = p.shelved || rd.Done
	return msgs
}

// retryAt is when an order without a PUBACK is published again; 0: it need not be.
func (p *publication) retryAt() int64 {
	if p.done || p.under || p.flying || !p.has[p.last()] {
		return 0
	}
	return p.tried + retryEvery
}

// wake is when the publication wants to be looked at again, while the link is up.
func (p *publication) wake() int64 {
	at := first(p.retryAt(), p.mendAt)
	if p.under {
		return at
	}
	for i := range p.copies {
		if p.has[i] {
			at = first(at, p.copies[i].RepairAt())
		}
	}
	return at
}

// first returns the first of some moments; 0 is none.
func first(moments ...int64) (at int64) {
	for _, m := range moments {
		if m > 0 && (at == 0 || m < at) {
			at = m
		}
	}
	return at
}

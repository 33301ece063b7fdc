package aggregator

import (
	"context"
	"errors"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// errWithdrawn: a newer version of the model has taken the place of this one.
var errWithdrawn = errors.New("aggregator: outdated part")

// fitsInline reports whether a model, or an update, of this schema goes in one
// message of partSize bytes.
func fitsInline(s model.Schema, partSize int) bool {
	return s.Bytes() <= partSize-inlineOverhead(s)
}

// distribution is what is published as the model of an order: the model, or
// its manifest, whose parts are then on the shelf.
func (t *task) distribution(o round.Order) (wire.Message, error) {
	t.shelf.withdraw()
	t.shelf, t.shelved, t.refill = nil, false, false
	if fitsInline(t.base.Schema, t.a.cfg.PartSize) {
		return wire.Model{Version: o.Version, Tensors: t.base}, nil
	}
	slot := uint32(o.Version % uint64(t.cfg.Slots)) // #nosec G115 -- at most topics.MaxSlots
	s, err := newShelf(t.base.Blob, t.a.cfg.PartSize, slot, t.topics)
	if err != nil {
		return nil, err
	}
	// A manifest on the broker says that its parts were all there.
	t.shelf, t.shelved = s, t.found == found{s.key, slot}
	t.mender = t.mender.Next() // nothing of the version before counts
	t.mender.Hold(s.blob)
	if t.refill = t.shelved; !t.refill {
		t.mender.All(t.a.nowMS())
	}
	if t.a.up {
		t.mender.Connected(t.a.nowMS())
	}
	return wire.Manifest{Version: o.Version, Schema: t.base.Schema, Slot: slot, Blob: s.blob}, nil
}

// found is the blob that the broker's manifest spoke of when the process began.
type found struct {
	key  wire.BlobKey
	slot uint32
}

// findModel looks at the own manifest that the broker retains.
func (t *task) findModel(m link.Message) {
	_, body, err := t.a.own.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		return
	}
	d, err := wire.DecodeModel(body, wire.Limits{Part: wire.MaxPart})
	if mf, ok := d.(wire.Manifest); ok && err == nil {
		t.found = found{mf.Blob.Key(), mf.Slot}
	}
}

// mend does what the mender owes: parts, and the publication that waits for
// them.
func (t *task) mend(ctx context.Context, now int64) {
	if t.shelf == nil {
		return
	}
	t.mender.Tick(now)
	rd := t.mender.Ready()
	t.mendAt = rd.Wake
	for _, i := range rd.Publish {
		t.a.parts.carry(ctx, t, t.shelf, i)
	}
	for _, i := range rd.Needed {
		_, n := t.shelf.blob.Span(int(i))
		t.tally.needed += uint64(n) // #nosec G115 -- of a part
	}
	if rd.Done {
		t.shelved = true
	}
	if t.shelved && t.held != nil {
		t.a.pub.put(*t.held)
		t.held = nil
	}
}

// partOut takes the outcome of publishing a part.
func (t *task) partOut(c carried) {
	if c.err == nil {
		t.passPart()
		t.sent(c.bytes)
	}
	if c.shelf != t.shelf {
		return
	}
	if c.err != nil && t.mayLog() {
		t.log.Warn().Err(c.err).Uint32("part", c.part).Msg("part not published")
	}
	t.mender.Sent(t.a.nowMS(), c.part, c.err == nil)
}

// partsConnected: what was on its way to the broker goes on; what was there
// goes out once more behind the order, as brokers forget.
func (t *task) partsConnected(now int64) {
	if len(t.stale) > 0 {
		t.a.pub.clear(t, t.stale)
	}
	t.mender.Connected(now)
	done, _ := t.mender.Progress()
	t.refill = t.shelf != nil && (t.shelved || done > 0)
}

// orderOut begins to publish once more what may be lost.
func (t *task) orderOut() {
	if t.refill {
		t.refill = false
		t.mender.All(t.a.nowMS())
	}
}

// need publishes again the parts of the model that a member could not get.
// What many ask for at once goes out once.
func (t *task) need(path string, m link.Message) {
	h, body, err := t.a.opener.Open(m.Topic, m.Payload, wire.Bound{MaxRound: t.state.Round + 1, Origin: t.origin})
	if err != nil {
		t.refuse(path, h, err)
		return
	}
	n, err := wire.DecodeNeed(body)
	if err != nil {
		t.refuse(path, h, err)
		return
	}
	if !t.machine.Known(path) {
		t.refuse(path, h, &wire.Refusal{Reason: verdict.UnknownMember.String()})
		return
	}
	t.step(round.Heard{Member: path})
	t.mender.Need(t.a.nowMS(), path, n)
}

package aggregator

import (
	"errors"
	"testing"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// The parts that left ahead are those of the next publication only if that is of the same
// version, bytes and slot; each is taken once, and none after the link was down.
func TestAhead(t *testing.T) {
	t.Parallel()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	at, err := ns.Owner("", "quality")
	if err != nil {
		t.Fatal(err)
	}
	m := &model.Model{Schema: model.Schema{{Name: "w", DType: model.F32, Shape: []int{4096}}}, Blob: make([]byte, 4*4096)}
	blob, err := wire.Cut(len(m.Blob), model.LeavesOf(m.Blob), wire.MinPart)
	if err != nil {
		t.Fatal(err)
	}
	other := blob
	other.Hashes = append([]byte{1}, blob.Hashes[1:]...)
	for _, c := range []struct {
		number uint64
		slot   uint32
		blob   wire.Blob
		same   bool
	}{{7, 1, blob, true}, {8, 1, blob, false}, {7, 0, blob, false}, {7, 1, other, false}} {
		p := &publication{topics: at}
		early := p.shelfFor(7, 1, m, blob)
		early.ahead = make([]*ahead, blob.Count())
		early.ahead[2] = &ahead{over: true}
		p.next = early
		o := owner.Publish{Slot: c.slot, Order: round.Order{}}
		o.Order.Version = c.number
		p.shelve(o, m, c.blob)
		if same := p.shelf == early; same != c.same {
			t.Errorf("%d in slot %d: what left ahead is the publication's: %v", c.number, c.slot, same)
		}
		part := p.shelf.wasAhead(2)
		if (part != nil) != c.same || p.shelf.wasAhead(2) != nil || p.shelf.wasAhead(1) != nil {
			t.Errorf("%d in slot %d: part 2 was ahead: %v", c.number, c.slot, part != nil)
		}
	}
	p := &publication{topics: at}
	p.shelf, p.next = p.shelfFor(7, 1, m, blob), p.shelfFor(8, 0, m, blob)
	p.shelf.ahead = []*ahead{{over: true}}
	next := p.next
	p.forgetAhead()
	if _, err := next.part(0, func(n int) []byte { return make([]byte, n) }); p.next != nil || !errors.Is(err, errWithdrawn) {
		t.Errorf("the link was down: what left ahead is there, %v", err)
	}
	if p.shelf.wasAhead(0) != nil {
		t.Error("the link was down: a part counts as published")
	}
	if _, err := p.shelf.part(0, func(n int) []byte { return make([]byte, n) }); err != nil {
		t.Errorf("the link was down: the model is gone: %v", err)
	}
}

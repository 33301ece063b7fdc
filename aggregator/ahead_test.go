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
	result := ahead{bytes: 4096}
	for _, c := range []struct {
		number uint64
		slot   uint32
		blob   wire.Blob
		same   bool
	}{{7, 1, blob, true}, {8, 1, blob, false}, {7, 0, blob, false}, {7, 1, other, false}} {
		p := &publication{topics: at}
		ahead := p.shelfFor(7, 1, m, blob)
		ahead.early = make([]early, blob.Count())
		ahead.early[2] = early{gone: true, came: &result}
		p.next = ahead
		o := owner.Publish{Slot: c.slot, Order: round.Order{}}
		o.Order.Version = c.number
		p.shelve(o, m, c.blob)
		if same := p.shelf == ahead; same != c.same {
			t.Errorf("%d in slot %d: what left ahead is the publication's: %v", c.number, c.slot, same)
		}
		for _, want := range []bool{c.same, false} {
			if came, gone := p.shelf.wasEarly(2, nil); gone != want || (came != nil) != want {
				t.Errorf("%d in slot %d: part 2 was ahead: %v, want %v", c.number, c.slot, gone, want)
			}
		}
		if _, gone := p.shelf.wasEarly(1, nil); gone {
			t.Errorf("%d in slot %d: part 1 was ahead", c.number, c.slot)
		}
	}
	p := &publication{topics: at}
	p.shelf, p.next = p.shelfFor(7, 1, m, blob), p.shelfFor(8, 0, m, blob)
	p.shelf.early = []early{{gone: true, came: &result}}
	next := p.next
	p.forgetAhead()
	if _, err := next.part(0, func(n int) []byte { return make([]byte, n) }); p.next != nil || !errors.Is(err, errWithdrawn) {
		t.Errorf("the link was down: what left ahead is there, %v", err)
	}
	if _, gone := p.shelf.wasEarly(0, nil); gone {
		t.Error("the link was down: a part counts as published")
	}
	if _, err := p.shelf.part(0, func(n int) []byte { return make([]byte, n) }); err != nil {
		t.Errorf("the link was down: the model is gone: %v", err)
	}
}

// Who asks before the outcome is known is told it; of a part that stayed behind, what comes of
// it when it leaves as any other.
func TestAheadUnderWay(t *testing.T) {
	t.Parallel()
	s := &shelf{early: []early{{gone: true}, {gone: true}, {gone: true}}}
	var told []int
	ask := func(i uint32) {
		if came, gone := s.wasEarly(i, func(bytes int, _ error) { told = append(told, bytes) }); came != nil || !gone {
			t.Errorf("part %d: %v, under way %v", i, came, gone)
		}
	}
	ask(0)
	ask(1)
	carried := 0
	carry := func(told func(int, error)) { carried++; told(20, nil) }
	s.left(0, ahead{bytes: 10})
	s.stayed(1, carry)
	s.stayed(2, carry)
	if len(told) != 2 || told[0] != 10 || told[1] != 20 || carried != 1 {
		t.Errorf("told %v, %d carried, want 10 and 20, one of them carried", told, carried)
	}
	if _, gone := s.wasEarly(2, nil); gone {
		t.Error("what stayed behind has left")
	}
}

package aggregator

import (
	"context"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// ahead is what came of a part that left before the machine asked for it.
type ahead struct {
	over  bool
	bytes int
	err   error
	told  func(bytes int, err error) // to be told; nil: the machine has not asked yet
}

// sendAhead has the parts of a model leave while its file is written, into the slot of
// the version that is `slots` back (TR-53, TR-59): nothing names them before the commit, and if that never comes
// the next one takes their place. Not over a thin line, and not while there is none.
func (t *task) sendAhead(ctx context.Context, number uint64, next *model.Model, blob wire.Blob) {
	p := t.published
	if p.next.withdraw(); blob.Length == 0 || !t.m.Swift() {
		p.next = nil
		return
	}
	p.next = p.shelfFor(number, uint32(number%uint64(t.cfg.Slots)), next, blob) // at most topics.MaxSlots
	for i := range blob.Count() {
		part := &ahead{}
		p.next.ahead = append(p.next.ahead, part)
		t.a.out.carryPart(p.next, uint32(i), func(bytes int, err error) { // at most topics.MaxParts
			part.over, part.bytes, part.err = true, bytes, err
			if part.told != nil {
				part.told(bytes, err)
			}
		})
	}
	t.a.out.start(ctx)
	crash.At("model.ahead")
}

// wasAhead takes a part that left ahead, once: what the machine asks for again is published again.
func (s *shelf) wasAhead(i uint32) *ahead {
	if s.ahead == nil || s.ahead[i] == nil {
		return nil
	}
	part := s.ahead[i]
	s.ahead[i] = nil
	return part
}

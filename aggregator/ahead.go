package aggregator

import (
	"context"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// ahead is what came of a part that left before the machine asked for it.
type ahead struct {
	bytes int
	err   error
}

// early is what is known of such a part.
type early struct {
	gone bool // it is under way, or was
	came *ahead
	told func(bytes int, err error) // waits for what comes of it; nil: the machine has not asked
}

// sendAhead has the parts of a model leave while its file is written, into the slot of its
// version (TR-59): nothing names them before the commit, and if that never comes
// the next version's take their place. Not over a thin line, and not while there is none.
func (t *task) sendAhead(ctx context.Context, number uint64, next *model.Model, blob wire.Blob) {
	p := t.published
	if p.next.withdraw(); blob.Length == 0 || !t.m.Swift() {
		p.next = nil
		return
	}
	s := p.shelfFor(number, t.m.SlotOf(number), next, blob)
	s.early = make([]early, blob.Count())
	for i := range s.early {
		s.early[i].gone = true
	}
	p.next = s
	t.a.out.carryAhead(ctx, s, func(first, step int, came []ahead) {
		for i := first; i < len(s.early); i += step {
			if len(came) == 0 {
				s.stayed(i, func(told func(int, error)) { t.a.out.carryPart(s, uint32(i), told) }) // at most topics.MaxParts
				continue
			}
			s.left(i, came[0])
			came = came[1:]
		}
		t.a.out.start(ctx)
	})
	crash.At("model.ahead")
}

// left notes what came of a part, and tells who waits for it.
func (s *shelf) left(i int, came ahead) {
	if e := &s.early[i]; e.told != nil {
		e.told(came.bytes, came.err)
	} else {
		e.came = &came
	}
}

// stayed notes that a part has not left: it leaves as any other, now if somebody waits for it.
func (s *shelf) stayed(i int, carry func(told func(bytes int, err error))) {
	if e := s.early[i]; e.told != nil {
		carry(e.told)
	}
	s.early[i] = early{}
}

// wasEarly takes a part that left ahead, once: what the machine asks for again is published
// again. Of one that is under way the outcome is told later.
func (s *shelf) wasEarly(i uint32, told func(bytes int, err error)) (came *ahead, gone bool) {
	if s.early == nil || !s.early[i].gone {
		return nil, false
	}
	e := &s.early[i]
	e.gone, came = false, e.came
	if came == nil {
		e.told = told
	}
	return came, true
}

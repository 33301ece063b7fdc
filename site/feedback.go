package site

import (
	"slices"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
)

// private is what a site has of a task that never leaves it as it is: what updates have left
// over, to be added to the next one (E-7), tensors of its own, and a model that it has trained
// for itself. The numbers are files.
type private struct {
	Left     left      `json:"left,omitzero"`      // zero: nothing
	Coming   *left     `json:"coming,omitempty"`   // in place of it once the update that it is of counts
	Own      *own      `json:"own,omitempty"`      // nil: none
	Terms    *terms    `json:"terms,omitempty"`    // of training, where it trains for itself; nil: no order said them
	Personal *personal `json:"personal,omitempty"` // nil: none
	Rolled   uint64    `json:"rolled,omitempty"`   // the last rollback that an order has told of
}

// left is what the update of a round has left over.
type left struct {
	Rest   model.Hash `json:"rest"`   // content id of the file
	Schema model.Hash `json:"schema"` // of the update's tensors
	Round  uint64     `json:"round"`
}

// files are the content ids that must stay.
func (f private) files() (list []model.Hash) {
	if f.Left != (left{}) {
		list = append(list, f.Left.Rest)
	}
	if f.Coming != nil {
		list = append(list, f.Coming.Rest)
	}
	if f.Own != nil {
		list = append(list, f.Own.Content)
	}
	if f.Personal != nil {
		list = append(list, f.Personal.Content)
	}
	return list
}

// mostGap is after how many rounds without an update that counts what is left over is of
// no use: the model has gone on without it.
const mostGap = 10

// of is what an update of a round has to add; zero: nothing.
func (f private) of(round uint64, schema model.Hash) left {
	if l := f.Left; l.Schema == schema && round > l.Round && round-l.Round <= mostGap {
		return l
	}
	return left{}
}

// waits reports whether the fate of an update with feedback is not known yet.
func (f private) waits() bool { return f.Coming != nil }

// settled is what follows from what became of updates, and from entries that are
// dropped without it.
func (f private) settled(fates []member.Settled, dropped []uint64) private {
	for _, s := range fates {
		if f.Coming != nil && f.Coming.Round == s.Round && s.Counted {
			f.Left, f.Coming = *f.Coming, nil
		}
	}
	if f.Coming != nil && (slices.Contains(dropped, f.Coming.Round) || slices.ContainsFunc(fates, func(s member.Settled) bool { return s.Round == f.Coming.Round })) {
		f.Coming = nil
	}
	return f
}

// setFeedback has what is left over become durable with what else has changed.
func (s *site) setFeedback(t *task, f private) {
	was := t.left()
	t.feedback.Store(&f)
	gone := slices.DeleteFunc(was.files(), func(id model.Hash) bool { return slices.Contains(f.files(), id) })
	s.later(t, change{Feedback: &f, Gone: gone})
}

// wentBack forgets what updates have left over and added up to before a rollback: the model
// has gone back behind them. Every order tells the last rollback, since a site may have been
// away when it was made (S-62).
func (s *site) wentBack(t *task, rolled uint64) {
	f := t.left()
	if rolled <= f.Rolled {
		return
	}
	f.Rolled, f.Left, f.Coming = rolled, left{}, nil
	s.setFeedback(t, f)
	if !t.control.IsZero() {
		t.control = model.Hash{}
		s.later(t, change{Control: new(model.Hash)})
	}
}

// left is what updates of the task have left over.
func (t *task) left() private {
	if f := t.feedback.Load(); f != nil {
		return *f
	}
	return private{}
}

// refeed follows what the machine says of updates.
func (s *site) refeed(t *task, r member.Ready) {
	f := t.left()
	now := f.settled(r.Settled, r.Drop)
	if r.Anew != "" {
		now = private{}
	}
	if now != f {
		s.setFeedback(t, now)
	}
}

// keepLeft writes what an update leaves over, to count once the update does. An update
// for which something has changed meanwhile has no part in it.
func (s *site) keepLeft(t *task, r *result, round uint64) error {
	f := t.left()
	if r.rest == nil || f.waits() || f.of(round, r.tensors.Schema.Hash()) != r.basis {
		return nil
	}
	id, err := s.durable(r.rest)
	if err != nil {
		return err
	}
	crash.At("left.written")
	f.Coming = &left{Rest: id, Schema: r.tensors.Schema.Hash(), Round: round}
	s.setFeedback(t, f)
	return nil
}

// durable writes a file of the site's own, by its content.
func (s *site) durable(b []byte) (model.Hash, error) {
	id := model.ContentOf(b)
	if err := s.disk.Write(id, b); err != nil {
		return id, err
	}
	return id, s.disk.Sync(id)
}

// forgetLeft: the update will not be sent.
func (s *site) forgetLeft(t *task, round uint64) {
	if f := t.left(); f.Coming != nil && f.Coming.Round == round {
		f.Coming = nil
		s.setFeedback(t, f)
	}
}

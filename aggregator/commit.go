package aggregator

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

// commit closes a round: fold, model and record durable, one transaction with
// the machine's next order, then everything is published.
func (t *task) commit(c round.Commit) error {
	closed := t.a.nowMS()
	crash.At("close")
	next, err := t.finish(c)
	if err != nil {
		return fmt.Errorf("round %d: %w", c.Round, err)
	}
	crash.At("optimiser.after")
	id, err := t.keeping.durable(c, t.base, next)
	if err != nil {
		return err
	}
	r, err := t.committedRecord(c, id, closed)
	if err != nil {
		return err
	}
	t.step(round.Committed{Base: id, RecordHash: r.Hash})
	rd := t.take()
	if len(rd.Save.Records) > 0 || len(rd.Fold) > 0 || rd.Commit != nil {
		return errors.New("a commit led to more than the next order")
	}
	crash.At("commit.before-tx")
	if err := t.a.store.Update(func(tx *store.Tx) error {
		if err := t.keeping.write(tx, r); err != nil {
			return err
		}
		return t.saveState(tx, rd.Save)
	}); err != nil {
		return err
	}
	crash.At("commit.after-tx")
	t.replaceBase(next)
	t.forget()
	clear(t.issued)
	t.saved(rd.Save)
	t.recorded(r)
	if err := t.fold(rd); err != nil { // Restart: the next round's empty sum
		return err
	}
	if err := t.keeping.retire(); err != nil {
		return err
	}
	return t.send(rd.Send)
}

// replaceBase takes the next model over. The bytes of the one before become
// the buffer, once the broker gets no more parts of it.
func (t *task) replaceBase(next *model.Model) {
	if next == t.base {
		return
	}
	t.shelf.withdraw()
	t.shelf = nil
	t.base, t.sum.buffer = next, t.base.Blob
}

// finish computes the model after the round.
func (t *task) finish(c round.Commit) (*model.Model, error) {
	r, err := t.sum.finish(c.Accepted)
	for _, note := range r.Notes {
		t.log.Warn().Msg(note)
	}
	return r.Model, err
}

package aggregator

import (
	"context"
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
)

// commit closes a round: model and record computed, and the model durable. The
// record is saved with the machine's next order, in one transaction; then
// everything is published that names the model. Its parts go ahead while the disk writes.
func (t *task) commit(ctx context.Context, c round.Commit) error {
	at := t.a.nowMS()
	crash.At("close")
	made, err := t.finish(c)
	if err != nil {
		return fmt.Errorf("round %d: %w", c.Round, err)
	}
	crash.At("optimiser.after")
	next, id, blob := made.Model, c.Base, t.blob
	if next != t.base {
		var uncut error
		leaves, err := t.keeping.durable(c, next, fitsInline(next.Schema, t.published.partSize), func(l model.Leaves) { // one pass: what names the whole names its parts
			if blob, uncut = t.published.cut(next, l); uncut == nil {
				t.sendAhead(ctx, c.Round, next, blob)
			}
		})
		if err = errors.Join(err, uncut); err != nil {
			return err
		}
		id = leaves.ID(len(next.Blob))
	}
	state, err := t.keeping.durableState(made.State)
	if err == nil {
		err = t.keeping.durableRoot(t.sum.own)
	}
	if err != nil {
		return err
	}
	r, score, err := t.committedRecord(c, id, state, made.Notes, at)
	if err != nil {
		return err
	}
	t.closed = closed{record: r, next: next, blob: blob, state: made.State}
	thresholds, err := t.guard().Thresholds(made.State)
	if err != nil {
		return err
	}
	t.answer(owner.Committed{Model: owner.Model{Content: id, Blob: t.closed.blob}, Record: r.Hash, Thresholds: thresholds, Score: score})
	return nil
}

// takeOver goes on from the model of a round that is recorded. The bytes of the one
// before become the buffer, once the broker gets no more parts of it.
func (t *task) takeOver() {
	if next := t.closed.next; next != t.base {
		t.published.withdraw()
		t.base, t.blob, t.sum.buffer = next, t.closed.blob, t.base.Blob
	}
	t.sum.state, t.sum.stateID = t.closed.state, t.closed.record.State
	clear(t.published.issued)
	t.closed = closed{}
}

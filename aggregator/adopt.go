package aggregator

import (
	"context"
	"fmt"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// adopt takes a task up above what others have seen: one transaction
// with the adopted record and the state that follows from it. The driver has
// ended; a new one goes on from the disk.
func (t *task) adopt(ctx context.Context, b *behindError) error {
	base, from := t.adoptable(ctx, b.stop)
	id := base.ContentID()
	if err := t.a.store.PutBlob(id, base.Blob, true); err != nil {
		return err
	}
	rnd, now := max(b.stop.Seen.Round, t.last.Round+1), t.a.nowMS()
	r := record.Record{
		Round: rnd, Epoch: max(b.stop.Seen.Epoch, t.state.Epoch) + 1, Verdict: record.Adopted, Work: workInit,
		Base: t.state.Base, Model: id, Version: rnd, State: t.sum.stateID, OrderHash: b.stop.Shown.Hash,
		OpenedMS: now, ClosedMS: now, CommittedMS: now,
		Reason: fmt.Sprintf("%s was epoch %d, round %d, attempt %d; the model is %s", b.who(), b.stop.Seen.Epoch, b.stop.Seen.Round, b.stop.Seen.Attempt, from),
	}
	sealed, err := t.sealed(r, t.keeping.tip)
	if err != nil {
		return err
	}
	save := t.state.Adopt(t.m.Round().Members(), b.stop.Seen.Epoch, rnd, id, sealed.Hash)
	if err := t.takeUp(sealed, save); err != nil {
		return err
	}
	t.log.Warn().Uint64("round", rnd).Uint64("epoch", save.State.Epoch).Str("model", id.String()).Str("from", from).
		Msg("adopted: the task goes on above what was seen")
	return nil
}

// takeUp makes an adoption durable, in one transaction.
func (t *task) takeUp(r record.Sealed, save round.Save) error {
	if err := t.a.store.Update(func(tx *store.Tx) error {
		if err := t.keeping.write(tx, r); err != nil {
			return err
		}
		return t.saveState(tx, save)
	}); err != nil {
		return err
	}
	crash.At("adopt.after-tx")
	t.auditRecord(r)
	return nil
}

// adoptable returns the model to go on with, and where it is from: the one on
// the broker, if the own key has signed it, the order that names it and the
// record that ends in it, and if that order is beyond the disk; else the disk's.
// What nobody signed proves nothing.
func (t *task) adoptable(ctx context.Context, stop *owner.Stop) (*model.Model, string) {
	const disk = "the disk's"
	if t.a.cfg.Signer == nil || len(t.shown.model) == 0 || !stop.Later {
		return t.base, disk
	}
	m, err := t.shownModel(ctx, stop.Shown)
	if err != nil {
		t.log.Warn().Err(err).Msg("the broker's model is not taken")
		return t.base, disk
	}
	return m, "the broker's"
}

func (t *task) shownModel(ctx context.Context, order owner.Shown) (*model.Model, error) {
	h, body, err := t.a.own.Open(t.topics.Model(), t.shown.model, wire.Bound{})
	if err != nil {
		return nil, err
	}
	d, err := wire.DecodeModel(body, t.a.own.Limits)
	if err != nil {
		return nil, err
	}
	if err := d.Matches(h); err != nil {
		return nil, err
	}
	if h.Base != order.Base {
		return nil, fmt.Errorf("model %s: the order on the broker is based on %s", h.Base, order.Base)
	}
	if err := t.checkHead(h.Base); err != nil {
		return nil, err
	}
	return t.whole(ctx, h, d)
}

// checkHead checks that the record's head on the broker is this aggregator's
// and speaks of the model.
func (t *task) checkHead(id model.Hash) error {
	if err := record.VerifyHeadSig(t.shown.head, t.a.own.Keys.Aggregator(t.a.cfg.Owner)); err != nil {
		return err
	}
	head, err := record.DecodeHead(t.shown.head)
	if err != nil {
		return err
	}
	after := head.Model
	if head.Verdict == record.Abandoned {
		after = head.Base
	}
	if after != id || head.Owner != t.topics.Node() || head.Task != t.cfg.Name {
		return fmt.Errorf("the record of round %d on the broker ends in the model %s, not in %s", head.Round, after, id)
	}
	return nil
}

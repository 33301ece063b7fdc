package aggregator

import (
	"encoding/json"
	"fmt"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
)

// work does what the machine owes, in the order it owes it: save, fold, send,
// commit; a commit makes more work.
func (t *task) work() error {
	if t.seenLater() {
		return fmt.Errorf("%w: its order is epoch %d, round %d, attempt %d; on disk the task is at round %d. "+
			"The data directory is an older copy: restore the newer one, or give the task another name",
			ErrBehind, t.seen.Epoch, t.seen.Round, t.seen.Attempt, t.state.Round)
	}
	if t.fencedBy > 0 {
		return fmt.Errorf("%w: its order has epoch %d, this process has %d", ErrFenced, t.fencedBy, t.state.Epoch)
	}
	for {
		rd := t.machine.Ready()
		t.wakeAt = rd.Wake
		if rd.Empty() {
			break
		}
		if err := t.save(rd.Save); err != nil {
			return err
		}
		if err := t.fold(rd); err != nil {
			return err
		}
		if err := t.send(rd.Send); err != nil {
			return err
		}
		if rd.Commit != nil {
			if err := t.commit(*rd.Commit); err != nil {
				return err
			}
		}
		t.viewDue = true
	}
	clear(t.inbox)
	t.tend()
	return nil
}

// seenLater reports an own order on the broker that the disk cannot know of:
// only a restored backup explains it.
func (t *task) seenLater() bool {
	h := t.seen
	return h.Epoch > t.state.Epoch && (h.Round > t.state.Round || h.Round == t.state.Round && round.ID(h.Base) != t.state.Base)
}

// save is one transaction, with the records of abandoned attempts in it.
func (t *task) save(s round.Save) error {
	if s.Empty() {
		return nil
	}
	raws, prev, err := t.abandonedRecords(s.Records)
	if err != nil {
		return err
	}
	if err := t.a.store.Update(func(tx *store.Tx) error {
		for i, raw := range raws {
			if err := tx.PutRecord(t.cfg.Name, s.Records[i].Round, s.Records[i].Attempt, raw); err != nil {
				return err
			}
		}
		return t.saveState(tx, s)
	}); err != nil {
		return err
	}
	t.prev = prev
	for i, raw := range raws {
		t.recorded(s.Records[i].Round, s.Records[i].Attempt, raw)
	}
	t.saved(s)
	return nil
}

// saveState writes state and journal within a transaction.
func (t *task) saveState(tx *store.Tx, s round.Save) error {
	if s.DropJournal {
		if err := tx.ClearJournal(t.cfg.Name); err != nil {
			return err
		}
	}
	for _, v := range s.Verdicts {
		raw, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := tx.AppendJournal(t.cfg.Name, raw); err != nil {
			return err
		}
	}
	if s.State == nil {
		return nil
	}
	raw, err := json.Marshal(s.State)
	if err != nil {
		return err
	}
	return tx.PutState(t.cfg.Name, raw)
}

// saved takes over what is durable now.
func (t *task) saved(s round.Save) {
	if s.State == nil {
		return
	}
	t.state = s.State
}

// fold adds what was accepted to the sum of the open round.
func (t *task) fold(rd round.Ready) error {
	if rd.Restart {
		clear(t.folded)
		if p := t.state.Params; p != nil && p.Work == round.WorkTrain {
			if err := t.strategy.Begin(t.base, fold.Grid{B: p.GridB, W: p.GridW}); err != nil {
				return err
			}
		}
	}
	for _, acc := range rd.Fold {
		s := t.inbox[contentKey{acc.Member, model.ContentID(acc.Content)}]
		if s == nil {
			return fmt.Errorf("round %d: accepted %s of %s is not at hand", t.state.Round, acc.Content, acc.Member)
		}
		if err := t.keep(s); err != nil {
			return err
		}
		if t.openWork() == round.WorkTrain {
			t.strategy.Add(s.delta, acc.Weight)
			s.delta = nil // its sum is all that is needed
		}
		t.folded[acc.Member] = s
	}
	return nil
}

// keep writes an accepted update to disk if the task asks for it.
func (t *task) keep(s *staged) error {
	if t.cfg.KeepUpdates == KeepNone || s.delta == nil {
		return nil
	}
	return t.a.store.PutBlob(s.content, s.delta.Blob, false)
}

// send passes on the machine's messages.
func (t *task) send(msgs []round.Message) error {
	for _, m := range msgs {
		switch m := m.(type) {
		case round.SendOrder:
			if err := t.publish(m.Order); err != nil {
				return err
			}
		case round.SendReply:
			t.sendReply(m)
		case round.SendSettled:
			if err := t.sendSettled(m); err != nil {
				return err
			}
		case round.SendEvent:
			t.event(m.Fact)
		}
	}
	return nil
}

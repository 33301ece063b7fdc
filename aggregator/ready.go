package aggregator

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
)

// step gives the machine one event and adds what follows to what is owed.
func (t *task) step(ev round.Event) {
	t.machine.Step(t.a.nowMS(), ev)
	rd := t.machine.Ready()
	t.owed.Merge(rd)
	t.wakeAt, t.turned = rd.Wake, t.turned || rd.Turns()
}

// take returns what is owed, and owes it no longer.
func (t *task) take() round.Ready {
	rd := t.owed
	t.owed, t.turned = round.Ready{}, false
	return rd
}

// work does what the machine owes, in the order it owes it: save, fold, send,
// commit; a commit makes more work.
func (t *task) work() error {
	if err := t.behind(); err != nil {
		return err
	}
	if t.fencedBy > 0 {
		return fmt.Errorf("%w: its order has epoch %d, this process has %d", ErrFenced, t.fencedBy, t.state.Epoch)
	}
	for {
		rd := t.take()
		if rd.Empty() {
			break
		}
		if err := t.do(rd); err != nil {
			return err
		}
		t.viewDue = t.viewDue || shows(rd)
	}
	t.sum.judged()
	clear(t.offers)
	return t.tend()
}

// shows reports whether work done changes what the round view says: an answer to
// a member, such as that to its sign of life, does not.
func shows(rd round.Ready) bool {
	rd.Send = slices.DeleteFunc(slices.Clone(rd.Send), func(m round.Message) bool {
		_, reply := m.(round.SendReply)
		return reply
	})
	return !rd.Empty()
}

func (t *task) do(rd round.Ready) error {
	if len(rd.Save.Records) > 0 { // they may name an order that this very Ready brings
		for _, m := range rd.Send {
			if o, ok := m.(round.SendOrder); ok {
				if err := t.prepare(o.Order); err != nil {
					return err
				}
			}
		}
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
	if rd.Commit == nil {
		return nil
	}
	return t.commit(*rd.Commit)
}

// save is one transaction, with the records of abandoned attempts in it.
func (t *task) save(s round.Save) error {
	if s.Empty() {
		return nil
	}
	records, err := t.abandonedRecords(s.Records)
	if err != nil {
		return err
	}
	t.beforeSave(s)
	if err := t.a.store.Update(func(tx *store.Tx) error {
		for _, r := range records {
			if err := t.keeping.write(tx, r); err != nil {
				return err
			}
		}
		return t.saveState(tx, s)
	}); err != nil {
		return err
	}
	t.afterSave(s)
	for _, r := range records {
		t.recorded(r)
	}
	t.saved(s)
	return nil
}

// saveState writes state, members, the round's settings and journal within a
// transaction.
func (t *task) saveState(tx *store.Tx, s round.Save) error {
	if s.DropJournal {
		if err := tx.ClearJournal(t.cfg.Name); err != nil {
			return err
		}
	}
	for _, v := range s.Verdicts {
		raw, err := t.journal(v)
		if err != nil {
			return err
		}
		if err := tx.AppendJournal(t.cfg.Name, raw); err != nil {
			return err
		}
	}
	if err := t.saveMembers(tx, s.Members); err != nil {
		return err
	}
	if s.State == nil {
		return nil
	}
	raw, err := json.Marshal(s.State)
	if err != nil {
		return err
	}
	if err := tx.PutState(t.cfg.Name, raw); err != nil {
		return err
	}
	return t.saveSettings(tx, s.State)
}

// saved takes over what is durable now.
func (t *task) saved(s round.Save) {
	if s.State != nil {
		t.state = s.State
	}
}

// fold adds what was accepted to the sum of the open round.
func (t *task) fold(rd round.Ready) error {
	if rd.Restart {
		t.forget()
		if p := t.state.Params; p != nil {
			if err := t.sum.begin(t.base, *p); err != nil {
				return err
			}
		}
	}
	for _, acc := range rd.Fold {
		s := t.sum.inbox[contentKey{acc.Member, acc.Content}]
		if s == nil {
			return fmt.Errorf("round %d: accepted %s of %s is not at hand", t.state.Round, acc.Content, acc.Member)
		}
		if err := t.keeping.keep(s); err != nil {
			return err
		}
		if err := t.sum.add(acc); err != nil {
			return err
		}
		t.drop(t.key(acc.Member)) // of other content, or the same that came inline
	}
	return nil
}

// forget empties the sum, and ends what was on its way to it.
func (t *task) forget() {
	t.sum.forget()
	t.dropAll()
}

// send passes on the machine's messages.
func (t *task) send(msgs []round.Message) error {
	newest := round.NewestOrder(msgs)
	for i, m := range msgs {
		switch m := m.(type) {
		case round.SendOrder:
			if i < newest {
				continue
			}
			if err := t.publish(m.Order); err != nil {
				return err
			}
		case round.SendReply:
			t.sendReply(m)
		case round.SendAdmit:
			t.admit(m)
		case round.SendSettled:
			if err := t.sendSettled(m); err != nil {
				return err
			}
		case round.SendEvent:
			if m.Fact.Kind == round.FactContested {
				t.contested(m.Fact)
				continue
			}
			t.event(m.Fact)
		}
	}
	return nil
}

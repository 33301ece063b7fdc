package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/strategy"
)

// do does what is owed for the task, in the order it is owed. What comes of it is
// told the machine afterwards.
func (t *task) do(ctx context.Context, rd owner.Ready) error {
	if rd.Stop != nil {
		return t.stopped(rd.Stop)
	}
	for _, step := range [...]func(owner.Ready) error{t.save, t.fold, t.stage, t.send, t.check} {
		if err := step(rd); err != nil {
			return err
		}
	}
	if rd.Commit != nil {
		if err := t.commit(ctx, *rd.Commit); err != nil {
			return err
		}
	}
	t.sum.decoded = 0
	t.viewDue = t.viewDue || shows(rd)
	return nil
}

// shows reports whether work done changes what the round view says: an answer to
// a member, such as that to its sign of life, does not.
func shows(rd owner.Ready) bool {
	for _, m := range rd.Send {
		switch m.(type) {
		case owner.Tell, owner.Settle, owner.Publish:
			return true
		}
	}
	return !rd.Save.Save.Empty() || rd.Save.Committed || rd.Restart || rd.Commit != nil || len(rd.Fold)+len(rd.Stage)+len(rd.Write)+len(rd.Release) > 0
}

// save is one transaction, with the records of attempts that have ended in it.
func (t *task) save(rd owner.Ready) error {
	if err := t.issue(namedBy(rd.Save.Records, rd.Orders)); err != nil {
		return err
	}
	if err := t.transaction(rd.Save); err != nil {
		return err
	}
	return t.issue(rd.Orders)
}

// namedBy are the orders, of those that a Ready brings, that records in it name. The others
// may be of settings that are frozen with the state.
func namedBy(records []round.Record, orders []round.Order) (list []round.Order) {
	for _, o := range orders {
		if slices.ContainsFunc(records, func(r round.Record) bool { return r.Stamp == o.Stamp }) {
			list = append(list, o)
		}
	}
	return list
}

func (t *task) transaction(s owner.Save) error {
	if s.Empty() {
		return nil
	}
	records, err := t.abandonedRecords(s.Records)
	if err != nil {
		return err
	}
	if s.Committed {
		records = append(records, t.closed.record)
	}
	t.beforeSave(s)
	if err := t.a.store.Update(func(tx *store.Tx) error {
		for _, r := range records {
			if err := t.keeping.write(tx, r); err != nil {
				return err
			}
		}
		if s.Cleared {
			if err := t.putLayout(tx, t.layout); err != nil {
				return err
			}
		}
		return errors.Join(t.saveState(tx, s.Save), t.saveEvaluated(tx, s), t.saveEarly(tx, s))
	}); err != nil {
		return err
	}
	t.afterSave(s)
	if s.Cleared {
		t.log.Info().Msg("cleared what an earlier part_size or bulk had left on the broker")
	}
	if s.Committed {
		t.takeOver()
		t.statisticsDue = true
	}
	if s.State != nil {
		t.state = s.State
	}
	for _, r := range records {
		t.recorded(r)
	}
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

// issue makes the bytes of orders; what the machine does not know of them is added.
func (t *task) issue(list []round.Order) error {
	for _, o := range list {
		w := o.Order
		w.Seed, w.Settings = t.settings.Seed, t.settings.Train
		if w.Work == strategy.Train {
			w.Encoding = t.settings.Encoding
		}
		w.PartSize = uint32(t.a.cfg.PartSize) // at most 4 MiB
		w.Bulk = t.a.cfg.Bulk
		w.Share, w.Keep = t.cfg.Locals.Share, t.cfg.Locals.Keep
		if w.Work == strategy.Train {
			t.sayFew(int(w.CohortSize))
			t.sayStop(int(w.CohortSize))
		}
		if err := t.published.issue(o, w); err != nil {
			return err
		}
	}
	return nil
}

// sayFew tells once that a round wants more updates than members are asked for it.
func (t *task) sayFew(asked int) {
	p := t.state.Params
	if p == nil || p.Buffer <= asked || !t.once("few") {
		return
	}
	t.log.Warn().Int("members", asked).Int("K", p.Buffer).
		Msg("strategy: a round of training closes with more updates (K) than members are asked: it closes when all are in, or at its deadline")
}

// sayStop tells once that early stop will hardly come, where the configuration alone did not
// show it (Config.Warnings).
func (t *task) sayStop(asked int) {
	p := t.state.Params
	if p == nil || p.Late == 0 || t.cfg.seldomStops(t.cfg.leastMembers(), p.Buffer) != "" {
		return
	}
	if text := t.cfg.seldomStops(asked, p.Buffer); text != "" && t.once("stop") {
		t.log.Warn().Msg(text)
	}
}

// fold lets go of what is not wanted, and adds what was accepted to the sum of the
// open round.
func (t *task) fold(rd owner.Ready) error {
	if err := t.sum.drop(rd.Drop); err != nil {
		return err
	}
	for _, k := range rd.Release {
		t.sum.unstage(k)
	}
	if rd.Save.Committed || rd.Restart {
		t.sum.forget()
	}
	if p := t.state.Params; rd.Restart && p != nil && p.Work != round.WorkRollback {
		if err := t.sum.begin(t.base, *p, t.state.Round); err != nil {
			return err
		}
	}
	for _, f := range rd.Fold {
		s := t.sum.held[f.Key]
		if s == nil {
			return fmt.Errorf("round %d: accepted %s of %s is not at hand", t.state.Round, f.Content, f.Member)
		}
		if err := t.keep(s); err != nil {
			return err
		}
		if err := t.sum.add(f, t.a.staging); err != nil {
			return err
		}
		if s.onDisk {
			crash.At("kept.mid")
		}
	}
	if rd.Save.Committed {
		return t.keeping.retire(heldOf(t.state))
	}
	return nil
}

// keep writes an accepted update to disk if the task asks for it.
func (t *task) keep(s *staged) error {
	if t.keeping.updates == KeepNone {
		return nil
	}
	if s == t.sum.early {
		if err := t.sum.borrow(s, s.schema); err != nil {
			return err
		}
	}
	return t.keeping.keep(s)
}

// stage makes places for updates that come in parts, and puts the parts there whose
// values can be added.
func (t *task) stage(rd owner.Ready) error {
	for _, o := range rd.Stage {
		if err := t.sum.stage(o, t.a.staging); err != nil {
			return err
		}
	}
	for _, w := range rd.Write {
		s := t.sum.held[w.Key]
		ev := owner.Written{Key: w.Key}
		if ev.Problem, ev.Detail = t.sum.checkPart(s, w.Data, w.Off); ev.Problem == verdict.None {
			crash.At("part.before-write")
			kept, err := s.stage.Put(w.Data, w.Message, w.Off)
			if err != nil {
				return err
			}
			if !kept {
				t.a.conn.Spent(w.Message)
			}
		}
		t.answer(ev)
	}
	return nil
}

// check looks at the whole of an update: one that came in parts, or that was kept on
// disk before the restart.
func (t *task) check(rd owner.Ready) error {
	if rd.Check == nil {
		return nil
	}
	ev := owner.Checked{Key: rd.Check.Key}
	s, err := t.atHand(*rd.Check)
	switch {
	case err != nil && rd.Check.Kept != nil:
		t.log.Info().Err(err).Str("member", ev.Member).Msg("kept update not usable; its site offers it again")
		ev.Void = true
	case err != nil:
		return err
	case rd.Check.Kept == nil && rd.Check.Came != s.content:
		ev.Problem, ev.Detail = verdict.Malformed, "the parts together are not the content that the offer names"
	case s.torn:
		ev.Void = true
	default:
		f, err := t.sum.look(s)
		if ev.Problem, ev.Detail, ev.Norm = f.problem, f.detail, f.norm; errors.Is(err, strategy.ErrFull) {
			t.log.Warn().Err(err).Str("member", ev.Member).Msg("no room for the update in this round; it waits")
			ev.Void = true
		} else if err != nil {
			return err
		}
	}
	t.answer(ev)
	return nil
}

// atHand is an update that came, or one that was kept, read into the sum's buffer.
func (t *task) atHand(c owner.Check) (*staged, error) {
	if c.Kept == nil {
		return t.sum.held[c.Key], nil
	}
	was := t.remembered[c.Key]
	s := &staged{content: c.Content, encoding: was.Encoding, came: was.Encoding, samples: c.Kept.Samples, round: c.Kept.Of(), measured: was.measured, bytes: c.Kept.Bytes, onDisk: true}
	t.sum.held[c.Key] = s
	if schema := t.want(); len(schema) > 0 {
		return s, t.sum.borrow(s, schema)
	}
	if s.measured.content() != s.content {
		return s, errOther
	}
	return s, nil
}

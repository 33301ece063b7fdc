package owner

import (
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// update has the round judge what came whole.
func (t *Task) update(ev Update) {
	k := Key{ev.Member, ev.Content}
	u := t.ups.find(k)
	if u == nil && ev.Held {
		u = &update{Key: k, state: whole, ev: ev.Update}
		t.ups.add(u)
		t.undrop(k)
	}
	t.feed(ev.Update)
	if u != nil && u.state == whole && u != t.ups.checked && !slices.Contains(t.ups.due, u) {
		t.drop(u)
	}
}

// offer has the round admit, or refuse, what would come in parts.
func (t *Task) offer(ev Offer) {
	k := Key{ev.Member, ev.Content}
	u := t.ups.find(k)
	if u == nil {
		u = &update{Key: k, state: offered}
		t.ups.add(u)
		t.undrop(k)
	}
	if u.state == offered || u.travels() {
		before := u.ev.Bytes
		u.ev, u.blob, u.entire = ev.Update, ev.Blob, ev.Whole
		u.ev.Bytes += before
	}
	ev.Update.Offer = true
	t.feed(ev.Update)
	if u.state == offered {
		t.drop(u)
	}
}

// written hears of a part that is staged; one of which nothing good can come ends its
// update.
func (t *Task) written(ev Written) {
	t.m.writes--
	if u := t.ups.find(ev.Key); u != nil && u.state == arriving && ev.Problem != verdict.None {
		t.judge(u, Checked{Key: ev.Key, Problem: ev.Problem, Detail: ev.Detail})
	}
}

// checked has the round judge an update that came in parts, or was kept.
func (t *Task) checked(ev Checked) {
	u := t.ups.checked
	if u == nil || u.Key != ev.Key {
		return
	}
	if t.ups.checked = nil; u.state != whole {
		return
	}
	if ev.Void || ev.Problem == verdict.Malformed && u.copied { // what was copied may be to blame
		t.drop(u)
		return
	}
	t.judge(u, ev)
}

// judge tells the round of an update that is at hand, with what was found.
func (t *Task) judge(u *update, found Checked) {
	parts := u.kept == nil
	if u.travels() {
		t.m.recv.Withdraw(t.m.now, t.key(u.Member))
		u.state = whole
	}
	ev := u.ev
	ev.Offer, ev.Problem, ev.Detail, ev.Norm = false, found.Problem, found.Detail, found.Norm
	t.feed(ev)
	if u.state == whole {
		t.drop(u)
	} else if parts {
		t.uploaded(u)
	}
}

// kept lists what was accepted in the open round before the restart, as far as it
// stands: the journal's last word for each member.
func (t *Task) kept() (list []round.Verdict) {
	if !t.cfg.Kept {
		return nil
	}
	for _, v := range t.cfg.Journal {
		if v.Round != t.state.Round || v.Attempt < t.state.ValidFrom {
			continue
		}
		if v.Reason == verdict.Counted || v.Reason == verdict.Lost {
			list = slices.DeleteFunc(list, func(o round.Verdict) bool { return o.Member == v.Member })
		}
		if v.Reason == verdict.Counted {
			list = append(list, v)
		}
	}
	return list
}

// again has what was kept checked and judged once more, one after the other. What is
// missing or torn is left to its member, who offers it again.
func (t *Task) again(kept []round.Verdict) {
	for _, v := range kept {
		u := &update{Key: Key{v.Member, v.Content}, state: whole, kept: &v, ev: t.round.Kept(v)}
		t.ups.add(u)
		t.ups.due = append(t.ups.due, u)
	}
	t.cfg.Journal = nil
}

// need publishes again the parts of the model that a member could not get.
func (t *Task) need(ev Need) {
	if !t.round.Known(ev.Member) {
		t.refuse(ev.Member, wire.RefusalReply{Round: ev.Round, Attempt: ev.Attempt, Reason: verdict.UnknownMember.String()})
		return
	}
	t.feed(round.Heard{Member: ev.Member})
	t.pub.mender.Need(t.m.now, ev.Member, ev.Need)
}

// committed takes over the next model; the round goes on, and its sum is done with.
func (t *Task) committed(ev Committed) {
	if ev.Model.Content != t.state.Base {
		t.pub.outdated()
	}
	t.model = ev.Model
	t.dropAll(t.lives)
	t.held.release(&t.owed)
	t.owed.Save.Committed = true
	t.pub.headChanged()
	t.feed(round.Committed{Base: ev.Model.Content, RecordHash: ev.Record, Thresholds: ev.Thresholds, Score: ev.Score})
}

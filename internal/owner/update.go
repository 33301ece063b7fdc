package owner

import (
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// update is one contribution of a member, from when it is heard of until it is
// recorded, or not wanted. Its bytes are the driver's, by its key.
type update struct {
	Key
	state  state
	ev     round.Update // what the round hears of it
	blob   wire.Blob    // of one that comes in parts
	entire bool         // each part of it travels
	before model.Hash   // an update whose parts may serve this one: its place is kept until this one has one
	copied bool         // some did
	got    int64        // bytes of it that are there
	told   uint32       // the attempt in which the round heard that it is under way
	kept   *round.Verdict
}

// state is how far an update has come.
type state uint8

const (
	offered  state = iota // its member would send it
	admitted              // it is to come: it waits for a place
	arriving              // it has a place, and its parts come
	whole                 // it is all there, to be checked or judged
	counted               // it is in the open round's sum
	gone                  // nothing of it is wanted any more
)

// travels reports whether the receiver knows of it.
func (u *update) travels() bool { return u.state == admitted || u.state == arriving }

// updates are those of one task.
type updates struct {
	by      map[string][]*update // by member; few each
	due     []*update            // whole, to be checked, one after the other
	checked *update              // being checked
}

func newUpdates() updates { return updates{by: map[string][]*update{}} }

func (s *updates) find(k Key) *update {
	for _, u := range s.by[k.Member] {
		if u.Content == k.Content {
			return u
		}
	}
	return nil
}

// travelling is the update of a member that comes in parts: there is at most one.
func (s *updates) travelling(member string) *update {
	for _, u := range s.by[member] {
		if u.travels() {
			return u
		}
	}
	return nil
}

func (s *updates) add(u *update) { s.by[u.Member] = append(s.by[u.Member], u) }

func (s *updates) remove(u *update) {
	list := slices.DeleteFunc(s.by[u.Member], func(o *update) bool { return o == u })
	if s.by[u.Member] = list; len(list) == 0 {
		delete(s.by, u.Member)
	}
}

// next is the update to be checked now: one at a time, as a driver has room for one.
func (s *updates) next() *Check {
	for s.checked == nil && len(s.due) > 0 {
		u := s.due[0]
		if s.due = s.due[1:]; u.state == whole {
			s.checked = u
			return &Check{Key: u.Key, Kept: u.kept}
		}
	}
	return nil
}

// members are those with updates, by path.
func (s *updates) members() []string { return slices.Sorted(maps.Keys(s.by)) }

func (t *Task) key(member string) transfer.Key { return transfer.Key{Task: t.cfg.Name, Member: member} }

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

// admit hands an offer to the receiver. What was offered for a round or an attempt
// that has ended meanwhile is not wanted any more.
func (t *Task) admit(m round.SendAdmit) {
	u := t.ups.find(Key{m.Member, m.Content})
	if u == nil || u.state > arriving || m.Round != t.state.Round || m.Attempt < t.state.ValidFrom {
		return
	}
	had := t.ups.travelling(m.Member)
	keep := had != nil && had != u && had.state == arriving && t.m.writes == 0
	switch {
	case keep:
		t.replace(had, u)
	case had != nil && had != u: // its place is the receiver's to take
		t.drop(had)
	}
	if u.state == offered {
		u.state = admitted
	}
	t.m.recv.Offer(t.m.now, transfer.Upload{
		Key: t.key(m.Member), Round: m.Round, Attempt: m.Attempt, Content: m.Content, Blob: u.blob, Whole: u.entire, Keep: keep,
		Within: int64(t.state.Order.DeadlineMS), Counted: m.Counted, // checked with the settings
	})
}

// replace lets go of an update whose member offers another, but for what came of it: the
// receiver takes its place for the other, or gives it up (TR-73).
func (t *Task) replace(had, u *update) {
	t.forget(had)
	had.state = gone
	t.ups.remove(had)
	t.unstage(had)
	t.uploaded(had)
	u.before = had.Content
}

// forget lets go of what was before an update.
func (t *Task) forget(u *update) {
	if !u.before.IsZero() {
		t.owed.Drop = append(t.owed.Drop, Key{u.Member, u.before})
		u.before = model.Hash{}
	}
}

// placed: the receiver has a place for the update of a member, whose parts come now.
func (t *Task) placed(p transfer.Place) {
	u := t.ups.travelling(p.Key.Member)
	if u == nil {
		return
	}
	u.state, u.got = arriving, 0
	u.copied = slices.ContainsFunc(p.Fill, func(s transfer.Same) bool { return s.From != transfer.Zeros })
	t.owed.Stage = append(t.owed.Stage, Stage{Key: u.Key, From: u.before, Fill: p.Fill})
	if !u.before.IsZero() {
		t.after = append(t.after, Key{u.Member, u.before})
		u.before = model.Hash{}
	}
	t.uploading(u, true)
	t.say(Tell{round.Fact{
		Kind: round.FactOffered, Round: t.state.Round, Attempt: t.state.Attempt, Member: u.Member, Content: u.Content,
	}})
}

// waits: the receiver has no place for the update of a member yet.
func (t *Task) waits(w transfer.Wait) {
	if u := t.ups.travelling(w.Key.Member); u != nil {
		t.forget(u)
	}
	t.reply(w.Key.Member, w.Reply)
}

// released: the receiver has taken the place away again.
func (t *Task) released(member string) {
	u := t.ups.travelling(member)
	if u == nil || u.state != arriving {
		return
	}
	u.state, u.got = admitted, 0
	t.owed.Release = append(t.owed.Release, u.Key)
	t.unstage(u)
	t.uploading(u, false) // it waits: nothing of it is under way
}

// part takes a part of an upload; the receiver proves it.
func (t *Task) part(ev Part) {
	off, v := t.m.recv.Part(t.m.now, t.key(ev.Member), ev.Part)
	u := t.ups.travelling(ev.Member)
	if v == transfer.Bad {
		t.say(Count{Reason: verdict.Malformed})
	}
	if v != transfer.Wanted || u == nil || u.state != arriving {
		return
	}
	u.got += int64(len(ev.Part.Data))
	u.ev.Bytes += int64(ev.Bytes)
	if u.told != t.state.Attempt {
		t.uploading(u, true)
	}
	t.m.writes++
	t.owed.Write = append(t.owed.Write, Write{Key: u.Key, Off: off, Data: ev.Part.Data})
}

// complete: every part of a member's update is proven, checked and staged.
func (t *Task) complete(member string) {
	u := t.ups.travelling(member)
	if u == nil || u.state != arriving {
		return
	}
	u.state = whole
	t.ups.due = append(t.ups.due, u)
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

// fold puts an accepted update into the sum, and ends what else is on its way of its
// member: other content, or the same in parts.
func (t *Task) fold(acc round.Accepted) {
	k := Key{acc.Member, acc.Content}
	for _, u := range slices.Clone(t.ups.by[acc.Member]) {
		travels := u.travels()
		if travels {
			t.m.recv.Withdraw(t.m.now, t.key(u.Member))
		}
		switch {
		case u.Key != k && travels:
			t.drop(u)
		case u.Key == k:
			if u.state = counted; travels {
				t.uploaded(u)
			}
		}
	}
	t.owed.Fold = append(t.owed.Fold, Fold{Key: k, Weight: acc.Weight})
}

// restart empties the sum, and ends what was on its way to it.
func (t *Task) restart() {
	t.dropAll()
	t.owed.Restart = true
}

func (t *Task) dropAll() {
	for _, member := range t.ups.members() {
		for _, u := range slices.Clone(t.ups.by[member]) {
			t.drop(u)
		}
	}
	t.owed.Fold = nil
}

// drop lets go of an update, however far it has come.
func (t *Task) drop(u *update) {
	under := u.state == arriving || u.state == whole && u.told > 0
	if u.travels() {
		t.m.recv.Withdraw(t.m.now, t.key(u.Member))
	}
	u.state = gone
	t.ups.remove(u)
	t.forget(u)
	t.unstage(u)
	t.owed.Release = slices.DeleteFunc(t.owed.Release, func(k Key) bool { return k == u.Key }) // it goes with the rest
	t.owed.Drop = append(t.owed.Drop, u.Key)
	if under {
		t.uploaded(u)
	}
}

// unstage takes back what was to be made and written of an update.
func (t *Task) unstage(u *update) {
	t.owed.Stage = slices.DeleteFunc(t.owed.Stage, func(s Stage) bool { return s.Key == u.Key })
	before := len(t.owed.Write)
	t.owed.Write = slices.DeleteFunc(t.owed.Write, func(w Write) bool { return w.Key == u.Key })
	t.m.writes -= before - len(t.owed.Write) // the others are answered
}

// undrop keeps what the driver holds of an update that is heard of again.
func (t *Task) undrop(k Key) {
	same := func(o Key) bool { return o == k }
	t.owed.Drop, t.after = slices.DeleteFunc(t.owed.Drop, same), slices.DeleteFunc(t.after, same)
	for _, u := range t.ups.by[k.Member] {
		if u.before == k.Content {
			u.before = model.Hash{}
		}
	}
}

// uploading tells the round that an upload runs, or does not.
func (t *Task) uploading(u *update, on bool) {
	u.told = t.state.Attempt
	t.then(round.Uploading{Member: u.Member, On: on})
}

func (t *Task) uploaded(u *update) { t.uploading(u, false) }

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
		u := &update{Key: Key{v.Member, v.Content}, state: whole, kept: &v, ev: round.Update{
			Member: v.Member, Round: v.Round, Attempt: v.Attempt, Base: t.state.Base,
			Content: v.Content, Samples: v.Samples, Bytes: v.Bytes,
		}}
		t.ups.add(u)
		t.ups.due = append(t.ups.due, u)
	}
	t.cfg.Journal = nil
}

package owner

import (
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
)

// admit hands an offer to the receiver. What was offered for a round or an attempt
// that has ended meanwhile is not wanted any more, unless it counts in a later one.
func (t *Task) admit(m round.SendAdmit) {
	u := t.ups.find(Key{m.Member, m.Content})
	if u == nil || u.state > arriving || m.Round+m.Staleness != t.state.Round || m.Staleness == 0 && m.Attempt < t.state.ValidFrom {
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
	t.owed.Write = append(t.owed.Write, Write{Key: u.Key, Off: off, Data: ev.Part.Data, Message: ev.Message})
}

// complete: every part of a member's update is proven, checked and staged.
func (t *Task) complete(w transfer.Whole) {
	u := t.ups.travelling(w.Key.Member)
	if u == nil || u.state != arriving {
		return
	}
	u.state, u.came = whole, w.Content
	t.ups.due = append(t.ups.due, u)
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
	t.owed.Fold = append(t.owed.Fold, Fold{Key: k, Weight: acc.Weight, Staleness: acc.Staleness})
}

// restart empties the sum, and ends what was on its way to it. What comes in parts for
// an earlier round, and may count in this one, goes on.
func (t *Task) restart() {
	t.dropAll(func(u *update) bool {
		_, counts := t.round.Stale(u.ev.Round)
		return counts && u.ev.Round < t.state.Round
	})
	t.owed.Restart = true
}

// lives reports whether an upload outlives its round: of asynchronous training it may
// count in a later one.
func (t *Task) lives(*update) bool { return t.state.Params != nil && t.state.Params.Late > 0 }

// dropAll lets go of all updates but those that come in parts and are to stay.
func (t *Task) dropAll(stays func(*update) bool) {
	for _, member := range t.ups.members() {
		for _, u := range slices.Clone(t.ups.by[member]) {
			if u.travels() && stays(u) {
				u.told = 0 // the round that is open then has not heard of it
				continue
			}
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

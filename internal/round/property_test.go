package round_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// TestRandomSchedules runs federations with losses, duplicates, reorderings,
// crashes and commands: rapid draws the task, how many steps and the seed of the
// dice, and shrinks them. At each step the twin says whether the machine did as
// its log demands; at the end an outsider reads records, receipts and orders.
func TestRandomSchedules(t *testing.T) {
	t.Parallel()
	for range 5 { // 5 x rapid's 100 schedules
		rapid.Check(t, schedule)
	}
}

func schedule(t *rapid.T) {
	w := newWorld(t)
	for range 8 * rapid.IntRange(1, 60).Draw(t, "steps/8") {
		w.act()
	}
	w.finish()
	checkRecords(t, w)
	checkReceipts(t, w)
	checkOrders(t, w)
}

// act lets one thing happen.
func (w *world) act() {
	s := w.sites[w.dice.IntN(len(w.sites))]
	crash := crashNot
	if w.dice.IntN(25) == 0 {
		crash = crashBeforeSave + w.dice.IntN(crashAfterSends)
	}
	switch w.dice.IntN(27) {
	case 0:
		if s.mute = w.dice.IntN(3) == 0; !s.mute {
			w.net = append(w.net, w.joinOf(s))
		}
	case 1, 2, 3, 4, 5, 20:
		w.siteActs(s)
	case 6, 7, 8, 9, 10, 11, 12, 21, 22, 23:
		w.deliver(crash)
	case 13:
		w.now += 1 + w.dice.Int64N(70_000)
		w.step(round.Tick{}, crash)
	case 14, 15:
		w.publish(crash)
	case 16:
		if w.up {
			w.step(round.Disconnected{}, crash)
		} else {
			w.step(round.Connected{}, crash)
		}
	case 17, 18:
		w.commitDone(crash)
	case 19:
		w.command(crash)
	case 26:
		w.step(round.Heard{Member: s.path}, crash)
	case 24, 25:
		w.step(round.Uploading{Member: s.path, On: w.dice.IntN(3) > 0}, crash)
	}
}

func (w *world) joinOf(s *site) round.Event {
	s.counter++
	return round.Join{Member: s.path, Samples: 10, Instance: inst("i"), Counter: s.counter, Digest: id(fmt.Sprint(s.path, s.counter))}
}

// siteActs: a site trains, repeats, declines or sends something bad.
func (w *world) siteActs(s *site) {
	if w.order.Round == 0 || s.mute {
		return
	}
	u := w.train(s)
	switch w.dice.IntN(12) {
	case 0:
		w.net = append(w.net, round.Decline{Member: s.path, Round: w.order.Round, Attempt: w.order.Attempt, Reason: "no_data", Setting: w.dice.IntN(4) == 0})
		return
	case 1:
		u.Problem = []verdict.Reason{verdict.NotFinite, verdict.SchemaMismatch, verdict.OutOfRange}[w.dice.IntN(3)]
	case 2:
		u.Base = id("elsewhere")
	case 3:
		u.Attempt++
	case 4:
		u.Samples = 0
	case 5, 6:
		if n := len(s.outbox); n > 0 {
			u = s.outbox[w.dice.IntN(n)]
		}
	default:
		s.outbox = append(s.outbox, u)
	}
	u.Offer = w.dice.IntN(3) == 0 // the upload itself is another draw from the outbox
	w.net = append(w.net, u)
}

// deliver brings any message that is under way, and may keep a copy.
func (w *world) deliver(crash int) {
	if len(w.net) == 0 || !w.up {
		return
	}
	i := w.dice.IntN(len(w.net))
	ev := w.net[i]
	fate := w.dice.IntN(10)
	if fate > 1 { // else it will come again
		w.net = append(w.net[:i], w.net[i+1:]...)
	}
	if fate == 9 {
		return // lost
	}
	w.step(w.stamp(ev), crash)
}

func (w *world) stamp(ev round.Event) round.Event {
	switch ev := ev.(type) {
	case round.Join:
		return ev
	case round.Update:
		return ev
	case round.Decline:
		return ev
	}
	return ev
}

func (w *world) publish(crash int) bool {
	if !w.up || w.order.Round == 0 {
		return true
	}
	return w.step(round.Published{Order: w.order.Stamp}, crash)
}

func (w *world) commitDone(crash int) {
	if w.commit == nil {
		return
	}
	w.step(round.Committed{Base: id(fmt.Sprintf("m%d", w.commit.Round))}, crash)
}

func (w *world) command(crash int) {
	w.serial++
	ops := []round.Op{round.OpPause, round.OpPauseNow, round.OpResume, round.OpResume, round.OpStop, round.OpStart, round.OpStart}
	op := ops[w.dice.IntN(len(ops))]
	w.step(round.Command{ID: fmt.Sprint("c", w.serial), Op: op, AtRound: w.m.State().Round, Pause: w.m.State().Pause}, crash)
}

// finish lets everything work from here on: whatever happened before, the task
// comes to its end (liveness, I10).
func (w *world) finish() {
	if !w.up {
		w.step(round.Connected{}, crashNot)
	}
	for range 60 {
		var st *round.State
		for _, op := range []round.Op{round.OpResume, round.OpStart} {
			if st = w.m.State(); st.Finished {
				return
			}
			w.serial++
			w.step(round.Command{ID: fmt.Sprint("f", w.serial), Op: op, AtRound: st.Round, Pause: st.Pause}, crashNot)
		}
		for _, s := range w.sites {
			w.step(w.stamp(w.joinOf(s)), crashNot)
		}
		w.publish(crashNot)
		for _, s := range w.sites {
			if w.order.Work != wire.WorkNone {
				w.step(w.stamp(w.train(s)), crashNot)
			}
		}
		w.now += 60_000
		w.step(round.Tick{}, crashNot)
		w.commitDone(crashNot)
	}
	st := w.m.State()
	w.t.Fatalf("not finished: %s %d.%d", st.Phase, st.Round, st.Attempt)
}

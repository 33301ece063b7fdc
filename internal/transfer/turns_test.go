package transfer

import (
	"fmt"
	"testing"
)

// Ten lines that are far away, or thin, are used side by side, as are fast ones of which the
// sum brings more than each (TR-33): the times are those of a receiver that shares its budget
// out among all, but for what a trial costs.
func TestLinesSideBySide(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                string
		part, latency, most ms
	}{
		{"far", 10, 100, 16_100}, {"thin", 100, 5, 32_400}, {"fast", 1, 1, 1_000}, {"near", 1, 20, 4_500}, {"apart", 1, 45, 9_500},
	} {
		w := newUpWorld(t, 1, ReceiverConfig{})
		w.broker.part = 0
		took := w.last(ten(w, c.part, c.latency), 60_000)
		t.Logf("%s: %d ms away, %d ms a part: %d ms", c.name, c.latency, c.part, took)
		if took < 0 || took > c.most {
			t.Errorf("%s: ten uploads in %d ms, want at most %d", c.name, took, c.most)
		}
	}
}

// The end of a round, when few are left, says nothing about how many bring most: round after
// round takes as long.
func TestTurnsOfRounds(t *testing.T) {
	t.Parallel()
	w := newUpWorld(t, 1, ReceiverConfig{})
	w.broker.part = 0
	for i := range 5 {
		if took := w.last(ten(w, 1, 45), 60_000); took < 0 || took > 9_200 {
			t.Errorf("round %d: %d ms with %d at a time", i, took, w.r.turns.n)
		}
	}
}

func ten(w *upWorld, part, latency ms) (all []*upSite) {
	w.connect()
	for range 10 {
		x := w.site(318, part, latency)
		x.connect()
		all = append(all, x)
	}
	return all
}

// What all share is no faster for more at a time: of ten uploads few are half done, the others
// wait, and all take as long as the broker needs for their parts.
func TestOneAfterTheOther(t *testing.T) {
	t.Parallel()
	for _, budget := range []int{budgetFirst / 2, budgetFirst, budgetMost} {
		oneAfterTheOther(t, budget)
	}
}

func oneAfterTheOther(t *testing.T, budget int) {
	t.Helper()
	w := newUpWorld(t, 1, ReceiverConfig{})
	w.broker.part, w.r.budget = 1, budget
	all := ten(w, 1, 1)
	half := func() (n int) {
		for _, u := range w.r.list {
			if have := int(u.count) - u.left; have > 32 && u.left > 0 {
				n++
			}
		}
		return n
	}
	w.s.run(w.s.now+2_000, func() bool { return false })
	if n := half(); w.r.turns.n > 1 || n > 5 {
		t.Errorf("budget %d: after 2 s %d at a time, %d are half done", budget, w.r.turns.n, n)
	}
	if took := w.last(all, 60_000); took < 0 || took > 10*318-2_000+300 {
		t.Errorf("budget %d: %d ms", budget, took)
	}
}

// A share is no larger than what may be outstanding, so that the next range is granted before
// the last one is there, however large parts are.
func TestShareOfLargeParts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		data         uint32
		budget, want int
	}{{128 << 10, budgetMost, budgetFirst}, {1 << 20, budgetFirst, 32}, {4 << 20, budgetFirst, 8}, {128 << 10, 10, 10}} {
		u := &upload{window: windowQuick, left: 1_000}
		u.Blob.Data = c.data
		r := turns{n: 1, all: 1}
		if u.share = r.share(u, c.budget); u.share != c.want {
			t.Errorf("parts of %d: a share of %d, want %d", c.data, u.share, c.want)
		}
		if u.nOwed = c.want / 2; u.wants(c.want-u.nOwed) == 0 {
			t.Errorf("parts of %d: nothing is granted when half of the share is free", c.data)
		}
	}
}

// As many at a time as bring more: the rate of n lines is that of each, up to what they share.
func TestTurns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lines    float64 // that together bring as much as what they share
		from, to int
	}{
		{.5, turnsMost, 1}, {1, turnsMost, 1}, {2, turnsMost, 2}, {4, turnsMost, 4}, {100, turnsMost, 8}, {100, 1, 8}, {4, 1, 4}, {1, 1, 1},
	} {
		r := turns{n: c.from, fewer: true}
		list := []*upload{{window: 2, left: 1}, {window: 2, left: 1}}
		now, seen := ms(0), map[int]int{}
		for range 200 * 1_000 { // of 10 parts a ms and line
			now++
			r.begin(now, list)
			for range int(10 * min(float64(r.n), c.lines)) {
				r.came(now)
			}
			if now > 100_000 {
				seen[r.n]++
			}
		}
		if seen[c.to] < 80_000 { // the rest is trials
			t.Errorf("%v lines, from %d: %v, want %d", c.lines, c.from, seen, c.to)
		}
	}
}

// Nothing is measured while nobody waits.
func TestTurnsOfOne(t *testing.T) {
	t.Parallel()
	r := turns{n: turnsMost, fewer: true}
	for now := range ms(10_000) {
		r.begin(now, []*upload{{window: 2, left: 1}, {window: 2, left: 0}, {window: 1, left: 1}})
		r.came(now)
	}
	if r.n != turnsMost || r.rate != 0 {
		t.Errorf("%+v", r)
	}
}

// Who waits for its turn has a part a second all the same, and that it waits makes it no slower
// than it is (TR-31).
func TestTurnIsNotPace(t *testing.T) {
	t.Parallel()
	w := newUpWorld(t, 1, ReceiverConfig{})
	w.broker.part, w.r.budget = 1, 32
	ten(w, 1, 1)
	w.r.turns.n = 1
	last, had := map[Key]int{}, map[Key]ms{}
	for range 5 {
		w.r.turns.rests = 1 << 20
		w.s.run(w.s.now+100, func() bool { return false })
	}
	u := w.r.list[len(w.r.list)-1]
	for _, u := range w.r.list {
		last[u.Key], had[u.Key] = u.left, u.had(w.s.now)
	}
	w.s.run(w.s.now+1_100, func() bool { return false })
	if got := last[u.Key] - u.left; got < 1 || got > 4 {
		t.Errorf("%d parts of one that waits came in 1.1 s", got)
	}
	if d := u.had(w.s.now) - had[u.Key]; d > 100 {
		t.Errorf("%d ms of the 1.1 s in which it waited are its own", d)
	}
	if u.paused == 0 {
		t.Error(fmt.Sprint("it does not wait: ", u.window, u.took, u.left))
	}
}

// One whose turn it is and that brings nothing any more holds nobody up.
func TestTurnOfTheDead(t *testing.T) {
	t.Parallel()
	w := newUpWorld(t, 1, ReceiverConfig{})
	w.broker.part = 0
	all := ten(w, 1, 1)
	w.r.turns.n = 1
	w.s.run(w.s.now+200, func() bool { return false })
	for _, x := range all[:9] {
		x.disconnect()
	}
	if took := w.last(all[9:], 60_000); took < 0 || took > 6_000 {
		t.Errorf("%d ms", took)
	}
}

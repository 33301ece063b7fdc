package transfer

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/wire"
)

// Whatever links and broker do for five minutes, models replaced under way
// included: every site gets the last model bit for bit, in bounded time after
// the faults stop, and leaves no subscription behind (TR-10 to TR-18, TR-50 to
// TR-52).
func TestPulls(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newPullWorld(t, rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 3).Draw(t, "slots"))
		w.loss = rapid.SampledFrom([]int{0, 0, 10, 100, 300}).Draw(t, "loss")
		w.mute = rapid.SampledFrom([]int{-1, -1, 0, 1}).Draw(t, "mute")
		w.changed = rapid.SampledFrom([]int{0, 0, 20, 500}).Draw(t, "changed")
		parts := rapid.IntRange(1, 60).Draw(t, "parts")
		work := ms(0)
		for range rapid.IntRange(1, 6).Draw(t, "sites") {
			part := rapid.SampledFrom([]ms{0, 1, 10, 100, 1_000, 2_100, 16_000}).Draw(t, "part")
			x := w.site(part, rapid.SampledFrom([]ms{0, 30, 300}).Draw(t, "latency"))
			work = max(work, ms(parts)*(part+4*x.link.latency+100))
			w.s.after(rapid.Int64Range(0, 60_000).Draw(t, "start"), x.connect)
			for range rapid.IntRange(0, 3).Draw(t, "reconnects") {
				at := rapid.Int64Range(0, 290_000).Draw(t, "at")
				w.s.after(at, x.disconnect)
				w.s.after(at+rapid.SampledFrom([]ms{0, 1_000, 100_000}).Draw(t, "away"), x.connect)
			}
		}
		w.connect()
		w.publish(parts)
		for range rapid.IntRange(0, 6).Draw(t, "faults") {
			at := rapid.Int64Range(0, 290_000).Draw(t, "at")
			switch rapid.SampledFrom([]string{"model", "forget", "wipe", "spoil", "owner"}).Draw(t, "fault") {
			case "model":
				w.s.after(at, func() { w.publish(parts) })
			case "forget":
				w.s.after(at, func() { w.forget(200) })
			case "wipe":
				w.s.after(at, func() { w.forget(1_000) })
			case "spoil":
				w.s.after(at, func() { w.spoil(500) })
			default:
				w.s.after(at, w.disconnect)
				w.s.after(at+rapid.Int64Range(0, 10_000).Draw(t, "for"), w.connect)
			}
		}
		end := w.s.now + 300_000
		w.s.run(end, func() bool { return false })
		w.loss = 0
		w.connect()
		for _, x := range w.sites {
			x.connect()
		}
		// Two windows of 120 s on the slowest link, 60 s until the QoS is right, 60 s
		// since the last need, and what the owner needs to publish again.
		w.s.run(end+400_000+3*work, w.pulled)
		if !w.pulled() {
			t.Fatalf("not all is pulled %d s after the last fault", (w.s.now-end)/1000)
		}
		w.s.run(w.s.now+400_000, func() bool { return false })
		for _, x := range w.sites {
			if len(x.subs) > 0 || x.p.nAsked > 0 || x.p.Ready().Wake != 0 {
				t.Fatalf("at the end %d subscriptions, %d parts outstanding", len(x.subs), x.p.nAsked)
			}
		}
	})
}

// A link of 64 kbit/s never has two parts outstanding, and no part crosses it
// twice but the first (TR-12, TR-14).
func TestSlowPullHasOnePart(t *testing.T) {
	t.Parallel()
	w := newPullWorld(t, 1, 2)
	w.connect()
	x := w.site(16_128, 150)
	x.connect()
	w.publish(40)
	w.s.run(3_600_000, w.pulled)
	if !w.pulled() || x.most != 1 || x.got > 42 || x.needs > 0 {
		t.Errorf("pulled: %v, %d parts outstanding at once, %d came, %d needs", w.pulled(), x.most, x.got, x.needs)
	}
}

// Ten sites pull 40 MB at once; one of them is slow and keeps nobody.
func TestPullFast(t *testing.T) {
	t.Parallel()
	w := newPullWorld(t, 1, 2)
	w.connect()
	for range 10 {
		w.site(10, 20).connect()
	}
	w.publish(318)
	start := w.s.now
	w.s.run(60_000, w.pulled)
	if took := w.s.now - start; !w.pulled() || took > 4_500 {
		t.Errorf("pulled: %v, after %d ms; alone on the link it is 3,180", w.pulled(), took)
	}
	for i, x := range w.sites {
		if x.most != pullMost || x.got != 318 {
			t.Errorf("site %d: %d parts outstanding at most, %d came", i, x.most, x.got)
		}
	}
}

// Of each version 2 % of the parts change: those alone come, at every site, also one
// that was away for a version; and who boots later gets the whole (TR-71).
func TestUnchangedPartsStay(t *testing.T) {
	t.Parallel()
	w := newPullWorld(t, 1, 2)
	w.changed = 20
	w.connect()
	for range 3 {
		w.site(10, 20).connect()
	}
	w.publish(300)
	w.s.run(60_000, w.pulled)
	for range 4 {
		w.publish(300)
		w.s.run(w.s.now+60_000, w.pulled)
	}
	late := w.site(10, 20)
	late.connect()
	w.s.run(w.s.now+60_000, w.pulled)
	if !w.pulled() || w.published != 5*300 || late.got != 300 {
		t.Fatalf("pulled: %v, %d parts published, %d of 300 came to who boots later", w.pulled(), w.published, late.got)
	}
	for i, x := range w.sites[:3] {
		if x.got < 300+4 || x.got > 300+4*20 || x.needs > 0 {
			t.Errorf("site %d: %d parts came, %d needs; of 300 some 6 change in each of 4 versions", i, x.got, x.needs)
		}
	}
}

// A model of which the broker lost some parts: only those are asked for, and
// published once for everybody (TR-16, TR-51).
func TestNeedIsShared(t *testing.T) {
	t.Parallel()
	w := newPullWorld(t, 1, 2)
	w.connect()
	w.publish(100)
	w.s.run(5_000, func() bool { return false })
	for _, i := range []uint32{3, 50, 51, 99} {
		delete(w.kept, PartFilter{Slot: w.slot, Index: i})
	}
	for range 8 {
		w.site(10, 20).connect()
	}
	w.s.run(200_000, w.pulled)
	if again := w.published - 100; !w.pulled() || again < 4 || again > 12 {
		t.Fatalf("pulled: %v, with %d parts published again", w.pulled(), again)
	}
	for i, x := range w.sites {
		if x.needs < 1 || x.needs > 3 || x.got > 110 {
			t.Errorf("site %d: %d needs, %d parts came", i, x.needs, x.got)
		}
	}
}

// Others have written over every part: the owner is asked at once for what came,
// and the pull takes seconds, not windows of 20 s (TR-16).
func TestSpoiltPartsAreNeeded(t *testing.T) {
	t.Parallel()
	w := newPullWorld(t, 1, 2)
	w.connect()
	w.publish(100)
	w.s.run(5_000, func() bool { return false })
	w.spoil(1_000)
	for range 8 {
		w.site(10, 20).connect()
	}
	start := w.s.now
	w.s.run(start+60_000, w.pulled)
	if took := w.s.now - start; !w.pulled() || took > 20_000 {
		t.Fatalf("pulled: %v, after %d ms", w.pulled(), took)
	}
	if again := w.published - 100; again > 100+8*pullMost {
		t.Errorf("%d parts published again", again)
	}
	for i, x := range w.sites {
		if x.needs > 20 {
			t.Errorf("site %d: %d needs", i, x.needs)
		}
	}
}

// Who keeps writing over a part is answered ever more slowly.
func TestSpoiltForEver(t *testing.T) {
	t.Parallel()
	p := NewPuller()
	p.Connected(0)
	p.Want(0, testBlob("a", 3), 0, wire.Blob{})
	p.Ready()
	needs := 0
	for now := ms(0); now < 120_000; now += 100 {
		p.Spoilt(now, 0, 0)
		if p.Ready().Need != nil {
			needs++
		}
		p.Tick(now)
		if p.Ready().Need != nil {
			needs++
		}
	}
	if needs < 6 || needs > 12 {
		t.Errorf("%d needs in two minutes", needs)
	}
}

package transfer

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/wire"
)

// Whatever links, broker and peers do for five minutes: every upload comes bit
// for bit or its site is told that it is not wanted, in bounded time after the
// faults stop; credit, budget and places add up at every step (TR-20 to TR-30,
// TR-40 to TR-43).
func TestUploads(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newUpWorld(t, rapid.Uint64().Draw(t, "seed"), ReceiverConfig{
			Uploads: rapid.IntRange(1, 12).Draw(t, "uploads"), Offers: rapid.IntRange(1, 20).Draw(t, "offers"),
		})
		w.loss = rapid.SampledFrom([]int{0, 0, 10, 100, 300}).Draw(t, "loss")
		w.double = rapid.SampledFrom([]int{0, 100}).Draw(t, "double")
		w.spoil = rapid.SampledFrom([]int{0, 20}).Draw(t, "spoil")
		w.broker.part, w.broker.jitter = rapid.Int64Range(0, 20).Draw(t, "broker"), rapid.SampledFrom([]ms{0, 500}).Draw(t, "jitter")
		w.within = rapid.SampledFrom([]ms{0, 10_000, 100_000, 600_000}).Draw(t, "within")
		work := ms(0)
		for i := range rapid.IntRange(1, 12).Draw(t, "sites") {
			parts := rapid.IntRange(1, 60).Draw(t, "parts")
			part := rapid.SampledFrom([]ms{0, 1, 10, 100, 1_000, 16_000}).Draw(t, "part")
			x := w.site(parts, part, rapid.SampledFrom([]ms{0, 30, 300}).Draw(t, "latency"))
			x.counted = rapid.Bool().Draw(t, "counted")
			if rapid.Bool().Draw(t, "frozen") {
				x.data, x.blob = partly(w.s, x.data, 300)
				x.sender = NewSender(x.blob)
			}
			work += ms(parts) * (part + 4*x.link.latency + 100)
			w.s.after(rapid.Int64Range(0, 60_000).Draw(t, "start"), x.again)
			w.faults(t, x, i)
		}
		faultsEnd := w.s.now + 300_000
		w.connect()
		for range rapid.IntRange(0, 3).Draw(t, "agg_faults") {
			at := rapid.Int64Range(0, 290_000).Draw(t, "at")
			w.s.after(at, w.disconnect)
			w.s.after(at+rapid.Int64Range(0, 10_000).Draw(t, "for"), w.connect)
		}
		w.s.run(faultsEnd, func() bool { return false })
		w.loss, w.double, w.spoil = 0, 0, 0
		w.connect()
		for _, x := range w.sites {
			if !x.on {
				x.connect()
			}
		}
		w.s.run(faultsEnd+400_000+2*work, w.told)
		if !w.told() {
			t.Fatalf("not all is told %d s after the last fault", (w.s.now-faultsEnd)/1000)
		}
		w.s.run(w.s.now+1_000, func() bool { return false })
		w.atRest()
	})
}

// faults makes a site die and come back, reconnect, or be withdrawn; one that
// is slow never has two parts outstanding.
func (w *upWorld) faults(t *rapid.T, x *upSite, i int) {
	for range rapid.IntRange(0, 3).Draw(t, "faults") {
		at := rapid.Int64Range(0, 290_000).Draw(t, "at")
		away := rapid.SampledFrom([]ms{0, 1_000, 30_000, 200_000}).Draw(t, "away")
		switch rapid.SampledFrom([]string{"reconnect", "reconnect", "die", "withdraw", "retrain", "retrain"}).Draw(t, fmt.Sprint("fault", i)) {
		case "die": // and forget what was granted
			w.s.after(at, func() { x.disconnect(); x.sender = NewSender(x.blob) })
			w.s.after(at+away, x.again)
		case "retrain":
			w.s.after(at, x.retrain)
		case "withdraw":
			w.s.after(at, func() { w.withdraw(x) })
		default:
			w.s.after(at, x.disconnect)
			w.s.after(at+away, x.again)
		}
	}
}

func (x *upSite) again() {
	if !x.on {
		x.connect()
	}
}

// A link of 64 kbit/s never has more than one part outstanding, also when its
// site reconnects; and it is never asked twice for what is on its way (TR-23).
func TestSlowLinkHasOnePart(t *testing.T) {
	t.Parallel()
	w := newUpWorld(t, 1, ReceiverConfig{})
	w.connect()
	x := w.site(40, 16_128, 150) // 126 KiB at 64 kbit/s
	x.connect()
	for at := ms(50_000); at < 400_000; at += 37_123 {
		w.s.after(at, x.disconnect)
		w.s.after(at+200, x.connect)
	}
	w.s.run(3_600_000, func() bool {
		if u := w.r.byKey[x.key]; u != nil && u.nOwed > 1 {
			t.Fatalf("%d parts outstanding", u.nOwed)
		}
		return w.told()
	})
	if x.told != "accepted" || x.sent > 40+10 {
		t.Errorf("%q after %d parts of 40", x.told, x.sent)
	}
}

// Slow uploads at the head of the queue cost fast ones nothing: 4 and 16 sites
// at 128 kbit/s beside 6 at 100 Mbit/s, with 318 parts each (40 MB), on a broker
// that passes 1,000 parts a second.
func TestSlowSitesStarveNobody(t *testing.T) {
	t.Parallel()
	time := func(slow int) (last ms, grants int) {
		w := newUpWorld(t, 1, ReceiverConfig{})
		w.broker.part = 1
		w.connect()
		for range slow {
			w.site(318, 8_064, 100).connect()
		}
		var fast []*upSite
		for range 6 {
			x := w.site(318, 10, 20)
			fast = append(fast, x)
			w.s.after(1_000, x.connect)
		}
		start := w.s.now + 1_000
		w.s.run(start+600_000, func() bool {
			for _, x := range fast {
				if x.told == "" {
					return false
				}
			}
			return true
		})
		for _, x := range fast {
			if x.told == "" {
				t.Fatalf("%v is not through", x.key)
			}
			last = max(last, x.ended-start)
		}
		return last, w.grants
	}
	alone, grants := time(0)
	t.Logf("6 fast sites: %d ms alone, with %d grants", alone, grants)
	for _, slow := range []int{4, 16} {
		beside, _ := time(slow)
		t.Logf("beside %d slow sites: %d ms", slow, beside)
		if beside > alone*12/10 {
			t.Errorf("6 fast sites need %d ms alone, %d ms beside %d slow ones", alone, beside, slow)
		}
	}
}

// Whoever floods offers takes a bounded number of them, and no grant beyond.
func TestOfferFlood(t *testing.T) {
	t.Parallel()
	r := NewReceiver(ReceiverConfig{Uploads: 4, Offers: 100})
	r.Connected(1)
	grants, waits := 0, 0
	for i := range 10_000 {
		k := Key{"t", fmt.Sprint("m", i%5_000)}
		r.Offer(ms(i), testUpload(k, "a", 3, uint64(i/1_000)))
		r.Part(ms(i), k, wire.Part{Blob: testBlob("b", 3).Key(), Index: 2, Count: 3, Data: []byte{1}})
		rd := r.Ready()
		grants += len(rd.Grants)
		waits += len(rd.Waits)
	}
	check(t, r)
	if len(r.list) != 100 || grants > 12 || waits < 9_000 {
		t.Errorf("%d offers are known, %d grants, %d waits", len(r.list), grants, waits)
	}
	// Hashes of waiting offers are bounded too.
	r = NewReceiver(ReceiverConfig{Uploads: 1})
	big := wire.Blob{Length: 4000 * testData, Data: testData, Hashes: make([]byte, 4000*wire.PartHash)}
	for i := range 1_000 {
		r.Offer(1, Upload{Key: Key{"t", fmt.Sprint(i)}, Blob: big})
		r.Ready()
	}
	check(t, r)
	if n := len(r.list) - 1; n != waitBytes/len(big.Hashes) {
		t.Errorf("%d offers of 64 KB wait", n)
	}
}

// The same calls give the same Readys.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) (up, down uint64) {
		w := newUpWorld(t, seed, ReceiverConfig{Uploads: 4})
		w.loss, w.double, w.broker.jitter = 50, 50, 100
		w.connect()
		for i := range 9 {
			w.site(30, ms(i*i*10), 20).connect()
		}
		w.s.run(600_000, w.told)
		d := newPullWorld(t, seed, 2)
		d.loss = 100
		d.connect()
		for i := range 9 {
			d.site(ms(i*i*10), 20).connect()
		}
		d.publish(30)
		d.s.run(600_000, d.pulled)
		return w.trace.Sum64(), d.trace.Sum64()
	}
	up, down := run(1)
	if up2, down2 := run(1); up != up2 || down != down2 {
		t.Error("the same run twice owes other things")
	}
	if up2, down2 := run(2); up == up2 || down == down2 {
		t.Error("another run owes the same")
	}
}

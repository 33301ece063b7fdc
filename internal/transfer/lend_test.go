package transfer

import "testing"

// dribblers offer at once and bring a part every ten seconds: 40 parts would
// take them 400 s.
func dribblers(w *upWorld, n int) (list []*upSite) {
	for range n {
		x := w.site(40, 10_000, 20)
		x.connect()
		list = append(list, x)
	}
	return list
}

// honest are fast sites that come a second later.
func honest(w *upWorld, n int, counted bool) (list []*upSite) {
	for range n {
		x := w.site(40, 10, 20)
		x.counted = counted
		w.s.after(1_000, x.connect)
		list = append(list, x)
	}
	return list
}

// last is when the last of some sites was through, in ms from now; -1: one is not.
func (w *upWorld) last(sites []*upSite, within ms) (took ms) {
	start := w.s.now
	w.s.run(start+within, func() bool {
		for _, x := range sites {
			if x.told == "" {
				return false
			}
		}
		return true
	})
	for _, x := range sites {
		if x.told != "accepted" {
			return -1
		}
		took = max(took, x.ended-start)
	}
	return took
}

// All places are held by members that bring a part now and then, slower than the
// round's deadline needs. Members that were counted before do not wait for them;
// nor, for long, do others, once it is known how fast uploads come; the first of
// all wait for a deadline (TR-31, TR-32).
func TestPlacesAreLent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		counted, known bool
		most           ms
	}{
		"counted before":   {true, false, 3_000},
		"paces are known":  {false, true, 15_000},
		"nothing is known": {false, false, 65_000},
		"both":             {true, true, 3_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newUpWorld(t, 1, ReceiverConfig{})
			w.within = 60_000
			w.connect()
			if c.known {
				if took := w.last(honest(w, 5, false), 30_000); took < 0 {
					t.Fatal("five sites alone do not come through")
				}
			}
			dribblers(w, 64)
			if took := w.last(honest(w, 3, c.counted), 300_000); took < 0 || took > c.most {
				t.Errorf("three honest sites took %d ms, want at most %d", took, c.most)
			}
		})
	}
}

// A site at 64 kbit/s whose update takes two thirds of the deadline keeps its place,
// whoever is faster and whoever waits: 63 fast ones beside it and 20 behind, and
// 20 more that never bring anything but always wait (TR-31).
func TestThinLineKeepsItsPlace(t *testing.T) {
	t.Parallel()
	w := newUpWorld(t, 1, ReceiverConfig{})
	w.within = 200_000
	w.connect()
	thin := w.site(8, 16_128, 150) // 126 KiB at 64 kbit/s
	thin.connect()
	all := []*upSite{thin}
	for range 83 {
		x := w.site(8, 10, 20)
		w.s.after(100, x.connect)
		all = append(all, x)
	}
	for range 84 {
		x := w.site(8, 1<<40, 20)
		w.s.after(200, x.connect)
	}
	if took := w.last(all, w.within); took < 100_000 {
		t.Errorf("all were through after %d ms", took)
	}
	if thin.sent > 8 {
		t.Errorf("the thin line carried %d parts of 8", thin.sent)
	}
}

// Where all are as slow, nobody's place is taken but after a deadline: there is
// nobody for whose sake.
func TestSlowTogether(t *testing.T) {
	t.Parallel()
	w := newUpWorld(t, 1, ReceiverConfig{Uploads: 4})
	w.within = 60_000
	w.connect()
	all := dribblers(w, 6)
	w.s.run(w.s.now+59_000, func() bool { return false })
	for i, x := range all {
		if have, _ := w.r.progress(x.key); (have > 0) != (i < 4) {
			t.Errorf("%v has %d parts", x.key, have)
		}
	}
}

// An offer of a member that was counted before finds room among 4,096 that wait,
// and goes before them (TR-21, TR-32).
func TestCountedAmongMany(t *testing.T) {
	t.Parallel()
	r := NewReceiver(ReceiverConfig{Uploads: 2, Offers: 10})
	r.Connected(1)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"} {
		r.Offer(1, testUpload(Key{"t", name}, name, 2, 1))
	}
	for _, name := range []string{"x", "y", "z"} {
		u := testUpload(Key{"t", name}, name, 2, 1)
		u.Counted = true
		r.Offer(2, u)
		check(t, r)
	}
	r.Tick(3)
	var order string
	for _, u := range r.list {
		order += u.Key.Member
	}
	if order != "xyzcdefghi" {
		t.Errorf("%s", order)
	}
}

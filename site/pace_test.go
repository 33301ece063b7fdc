package site

import (
	"math/rand/v2"
	"testing"
	"time"
)

// In any span of time a pacer lets through what its rate gives, a second's worth
// that was saved, and one part; and no less than the rate while somebody waits.
func TestPacer(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		bits, size := 9_600+r.Int64N(10_000_000), 1+r.IntN(200_000)
		p, now := pace(bits), ms(1_000_000_000_000)
		begin, sent := now, int64(0)
		for range 200 {
			now += r.Int64N(500)
			if at := p.next(now); r.IntN(2) == 0 && at > now {
				if p.room(at-1, size) != 0 {
					t.Fatalf("%d bit/s: room before %d, which next names", bits, at)
				}
				now = at
			}
			n := p.room(now, size)
			p.take(now, n*size)
			sent += int64(n * size)
			if most := bits/8*(now-begin+1000)/1000 + int64(size); sent > most+1 {
				t.Fatalf("%d bit/s, parts of %d: %d bytes after %d ms, want at most %d", bits, size, sent, now-begin, most)
			}
		}
		for range 100 {
			if now = p.next(now); p.room(now, size) == 0 {
				t.Fatal("no room when next said")
			}
			p.take(now, size)
			sent += int64(size)
		}
	}
}

// A year without a part saves a second's worth; a clock that stands, or a huge
// debt, is no harm.
func TestPacerLongPause(t *testing.T) {
	t.Parallel()
	p := pace(80_000)
	p.take(1, 1<<40)
	if p.room(2, 1) != 0 || p.next(2) < 1<<26 {
		t.Errorf("a debt of 1 TiB is paid at %d", p.next(2))
	}
	p = pace(80_000)
	p.room(1, 1)
	if n := p.room(1<<40, 1000); n != 11 {
		t.Errorf("room for %d parts of 1000 bytes after 34 years at 10,000 bytes a second, want 11", n)
	}
	if free := new(pacer); free.room(5, 10) != -1 || free.next(5) != 5 {
		t.Error("no bound is a bound")
	}
}

func TestParseHours(t *testing.T) {
	t.Parallel()
	h, err := ParseHours("22:00-06:30 UTC")
	if err != nil || h != (Hours{From: 22 * time.Hour, To: 6*time.Hour + 30*time.Minute, UTC: true}) {
		t.Errorf("%+v, %v", h, err)
	}
	if h, err := ParseHours("9:00 - 12:05"); err != nil || h.UTC || h.From != 9*time.Hour || h.To != 12*time.Hour+5*time.Minute {
		t.Errorf("%+v, %v", h, err)
	}
	for _, s := range []string{"", "22:00", "22:00-24:00", "22:00-22:00", "22-6", "22:00-06:00 CET", "22:00:00-06:00"} {
		if h, err := ParseHours(s); err == nil {
			t.Errorf("%q is read as %+v", s, h)
		}
	}
}

// Minute by minute through two days: open and change agree with the clock.
func TestHoursOfTheDay(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"22:00-06:00 UTC", "06:00-22:00 UTC", "00:00-00:01 UTC", "23:59-00:00 UTC"} {
		h, err := ParseHours(text)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, 3, 28, 0, 0, 30, 0, time.UTC)
		for range 2 * 24 * 60 {
			day := time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
			want := day >= h.From && day < h.To
			if h.From > h.To {
				want = day >= h.From || day < h.To
			}
			if h.open(at) != want {
				t.Fatalf("%s: at %s open is %t", text, at, !want)
			}
			next := h.change(at)
			if !next.After(at) || h.open(next) == want || h.open(next.Add(-time.Second)) != want {
				t.Fatalf("%s: the change after %s is said to be at %s", text, at, next)
			}
			at = at.Add(time.Minute)
		}
	}
	if !(Hours{}).open(time.Now()) {
		t.Error("no hours are not always")
	}
}

package member

import (
	"math/rand/v2"
	"testing"
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

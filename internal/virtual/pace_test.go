package virtual

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
)

const paced = "paced/line-1"

// pacedRound begins a round of one site behind a fast line, with a model of so
// many million bytes.
func pacedRound(w *world, mb float64, tune func(*site.Config)) (*client, *line) {
	w.t.Helper()
	l := &line{rate: 100_000 * kbit, delay: 10 * time.Millisecond}
	w.network(paced, l)
	w.tune = tune
	task := w.megabytes(mb)
	task.StartWhen, task.Quorum, task.Deadline = 1, 1, 30*24*time.Hour
	c := w.client("watch", own("event"), memberTopic(paced, "status"))
	w.aggregate(task)
	w.join(paced, walker{})
	return c, l
}

// A site keeps to the cap that it is given, both ways, however fast its line is,
// and uses it.
func TestBandwidth(t *testing.T) {
	for name, kbits := range map[string]int{"64 kbit/s": 64, "256 kbit/s": 256, "2 Mbit/s": 2_000} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				c, l := pacedRound(w, 1, func(cfg *site.Config) { cfg.Bandwidth = int64(kbits) * 1000 })
				limit := kbits * kbit
				for range 600 { // a minute at most: a second of it saved, and a part of 126 KiB, beyond it
					upBefore, downBefore := 0, 0
					if l.connections() > 0 {
						upBefore, downBefore = l.carried()
					}
					time.Sleep(10 * time.Second)
					up, down := l.carried()
					if most := 11*limit + 130_000 + 20_000; up-upBefore > most || down-downBefore > most {
						t.Fatalf("%d bytes up, %d down in 10 s, want at most %d", up-upBefore, down-downBefore, most)
					}
					if len(c.acceptances()) > 0 {
						break
					}
				}
				w.recorded(1, record.Committed, time.Minute)
				took, ideal := c.acceptances()[paced]-time.Second, 2*transferTime(1, limit)
				part := transferTime(0.13, limit)
				if took < ideal-2*part-2*time.Second || took > ideal*13/10+time.Second {
					t.Errorf("%s, the cap alone makes it %s", took, ideal)
				}
			})
		})
	}
}

// Parts travel in their hours only; joins, orders and statuses always do. The
// site's clock is set forward over most of the day.
func TestHours(t *testing.T) {
	hours(t)
	inBubble(t, func(w *world) { // begins at midnight
		hours, err := site.ParseHours("02:00-02:20 UTC")
		check(t, err)
		var forward atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(forward.Load())) }
		c, l := pacedRound(w, 1, func(cfg *site.Config) { cfg.Bandwidth, cfg.Hours, cfg.Now = 9_600, hours, now })
		midnight := time.Now()
		minute := func(at time.Duration) int {
			time.Sleep(midnight.Add(at).Sub(now()))
			up, down := l.carried()
			time.Sleep(time.Minute)
			upThen, downThen := l.carried()
			return upThen - up + downThen - down
		}
		night := 24 * time.Hour
		for _, x := range []struct {
			at   time.Duration
			open bool
			what string
		}{
			{time.Hour, false, "download"},
			{2*time.Hour + 5*time.Minute, true, "download"},
			{2*time.Hour + 10*time.Minute, true, "download"},
			{2*time.Hour + 30*time.Minute, false, "upload"},
			{23 * time.Hour, false, "upload"},
			{night + 2*time.Hour + 5*time.Minute, true, "upload"},
		} {
			if x.at == 23*time.Hour {
				forward.Store(int64(20 * time.Hour))
			}
			if n := minute(x.at); (n > 20_000) != x.open {
				t.Errorf("%s: %d bytes in the minute after %s, hours open: %t", x.what, n, x.at, x.open)
			}
		}
		if p := c.progress(paced, "sending", "for the hours of parts"); len(p) == 0 {
			t.Error("no status says what the update waits for")
		}
		time.Sleep(midnight.Add(night + 2*time.Hour + 19*time.Minute).Sub(now()))
		w.recorded(1, record.Committed, time.Minute)
		if n := l.connections(); n != 1 {
			t.Errorf("connected %d times", n)
		}
	})
}

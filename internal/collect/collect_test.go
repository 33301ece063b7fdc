package collect

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestWanted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		percent int
		live    uint64
		want    int
	}{
		{100, 0, 400},
		{100, 4 << 20, 400},
		{100, 6 << 20, 250},
		{100, 8 << 20, 200},
		{100, 16 << 20, 100},
		{100, 1 << 30, 100},
		{50, 16 << 20, 100},
		{50, 40 << 20, 50},
	} {
		if got := (&tuning{percent: c.percent, room: Room}).wanted(c.live); got != c.want {
			t.Errorf("%d %% of %d MB: %d, want %d", c.percent, c.live>>20, got, c.want)
		}
	}
}

// The percentage follows what is in use, each time that the collector has been there.
func TestLateFollows(t *testing.T) {
	t.Setenv("GOGC", "") // what the test has changed is put back, and no other runs beside it
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	Late(70, Room)
	until(t, most)
	held := make([]byte, 64<<20)
	until(t, 70)
	runtime.KeepAlive(held)
	until(t, most)
}

// until collects until the percentage is p.
func until(t *testing.T, p uint64) {
	t.Helper()
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for range 1000 {
		if metrics.Read(s); s[0].Value.Uint64() == p {
			return
		}
		runtime.GC()
		runtime.Gosched()
	}
	t.Fatalf("GOGC is %d, want %d", s[0].Value.Uint64(), p)
}

func TestGOGCHasTheLastWord(t *testing.T) {
	t.Setenv("GOGC", "30")
	before := debug.SetGCPercent(30)
	defer debug.SetGCPercent(before)
	Late(100, Room)
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	if metrics.Read(s); s[0].Value.Uint64() != 30 {
		t.Errorf("GOGC is %d", s[0].Value.Uint64())
	}
}

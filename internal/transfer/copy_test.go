package transfer

import "testing"

func TestCopy(t *testing.T) {
	t.Parallel()
	var c Copy
	at := func(when string, want int64) {
		t.Helper()
		if got := c.RepairAt(); got != want {
			t.Errorf("%s: repair at %d, want %d", when, got, want)
		}
	}
	at("published", 0)
	c.Shown(false, 1_000)
	c.Shown(false, 1_500)
	at("other bytes since 1 s", 2_000)
	c.Shown(true, 1_600)
	at("the right ones", 0)
	c.Asked(20_000)
	at("a subscription", 25_000)
	if c.Repair(24_999) || !c.Repair(25_000) {
		t.Error("it is not repaired at 25 s")
	}
	at("repaired", 0)
	c.Shown(false, 26_000)
	at("wrong again", 35_000)
	c.Replace()
	at("other bytes are right", 0)
	c.Shown(false, 40_000)
	at("wrong long after", 41_000)
	c.Asked(40_500)
	c.Shown(true, 40_600)
	at("brought", 0)
	c.Asked(50_000)
	c.Unasked()
	at("published anyway", 0)
}

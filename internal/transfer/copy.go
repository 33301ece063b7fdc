package transfer

// Times of a copy.
const (
	copyWrong ms = 1_000  // it may show other bytes: the echo of what was there before
	copyOwed  ms = 5_000  // for a subscription to bring it
	copyEvery ms = 10_000 // between two repairs
)

// Copy watches what the broker retains of one of the owner's own messages: a
// cache of the owner's disk, which other bytes are replaced in. The zero Copy is
// of a message that was just published.
type Copy struct {
	wrong    ms // since when the broker shows other bytes; 0: it does not
	owed     ms // since when a subscription is to bring it; 0: none is
	repaired ms
}

// Shown takes what the broker shows: the right bytes, or others.
func (c *Copy) Shown(right bool, now int64) {
	c.owed = 0
	switch {
	case right:
		c.wrong = 0
	case c.wrong == 0:
		c.wrong = now
	}
}

// Asked says that a new subscription is to bring it.
func (c *Copy) Asked(now int64) { c.owed = now }

// Unasked says that it is published again, whatever the broker holds.
func (c *Copy) Unasked() { c.owed = 0 }

// Replace says that other bytes are right from now on.
func (c *Copy) Replace() { c.wrong, c.owed = 0, 0 }

// RepairAt is when the message is to be published again: a second after other
// bytes were shown, five after a subscription that brought none, and each at
// most once in 10 s. 0: nothing is wrong.
func (c *Copy) RepairAt() int64 {
	var at ms
	switch {
	case c.wrong > 0:
		at = c.wrong + copyWrong
	case c.owed > 0:
		at = c.owed + copyOwed
	default:
		return 0
	}
	if c.repaired > 0 {
		at = max(at, c.repaired+copyEvery)
	}
	return at
}

// Repair reports whether it is time; then the caller publishes the message.
func (c *Copy) Repair(now int64) bool {
	if at := c.RepairAt(); at == 0 || now < at {
		return false
	}
	c.wrong, c.owed, c.repaired = 0, 0, now
	return true
}

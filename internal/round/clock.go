package round

// clock is the deadline of one attempt: it runs from the first publish of the
// order, while the link is up.
type clock struct {
	published bool
	running   bool
	since     int64 // start of the run that lasts
	ran       int64 // sum of the runs that ended
}

func (c *clock) start(now int64) {
	if c.published && !c.running {
		c.running, c.since = true, now
	}
}

func (c *clock) stop(now int64) {
	if c.running {
		c.running, c.ran = false, c.ran+now-c.since
	}
}

func (c *clock) elapsed(now int64) int64 {
	if c.running {
		return c.ran + now - c.since
	}
	return c.ran
}

// end returns when the deadline is over if the clock goes on, 0 if it stands.
func (c *clock) end(deadline uint64) int64 {
	if !c.running {
		return 0
	}
	return c.since + int64(deadline) - c.ran
}

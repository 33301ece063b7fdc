package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Run connects and keeps the link up until ctx ends. Then it gives what is in
// flight up to 5 s, says DISCONNECT so that the Will is not sent, and returns
// nil after everything it started has ended. It returns an error only when it
// was called before.
func (c *Conn) Run(ctx context.Context) error {
	c.mu.Lock()
	ran := c.ran
	c.ran = true
	c.mu.Unlock()
	if ran {
		return errors.New("link: Run called twice")
	}
	var goes sync.WaitGroup
	defer goes.Wait()
	goes.Go(func() { c.inbox.pump(ctx, c.messages) })
	for ctx.Err() == nil {
		wait := c.live(ctx)
		if ctx.Err() != nil {
			break
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	c.mu.Lock()
	c.closing = true
	c.emit(State{Epoch: c.stats.Epoch})
	c.mu.Unlock()
	return nil
}

// live is one life of the link: connect, serve, leave. It returns how long to
// wait before the next one.
func (c *Conn) live(ctx context.Context) time.Duration {
	c.mu.Lock()
	c.stats.Attempts++
	c.mu.Unlock()
	s, err := c.openProven(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return 0
		}
		reached, before := c.reached, c.current().shown()
		if c.another() {
			c.log.Warn().Str("broker", before).Str("next", c.current().shown()).Err(err).Msg("the next address of the broker is tried")
			return 0
		}
		wait := c.back.failed()
		c.down(err, wait)
		if reached {
			c.explain(ctx)
		}
		return wait
	}
	c.failed = 0
	c.begin(s)
	select {
	case <-s.guard.done:
	case <-ctx.Done():
		c.mu.Lock()
		c.closing = true
		c.mu.Unlock()
		s.drain()
	}
	c.mu.Lock()
	c.up, c.cur = nil, nil
	c.mu.Unlock()
	err, cut := s.end()
	if ctx.Err() != nil {
		return 0
	}
	wait := c.mourn(s, err, cut)
	if time.Since(s.born) >= shortLife {
		c.noes = 0
	} else if cut {
		c.explain(ctx)
	}
	return wait
}

// explain asks the broker for its reasons after the second no in a row, and every
// whyEvery while it goes on: a CONNECT that failed, or a link that was cut right
// after it (C-20).
func (c *Conn) explain(ctx context.Context) {
	c.noes++
	if c.noes < 2 || c.noes > 2 && time.Since(c.asked) < whyEvery {
		return
	}
	c.asked = time.Now()
	_, causes := Why(ctx, c.cfg)
	c.mu.Lock()
	c.stats.Causes = causes
	c.mu.Unlock()
	if len(causes) > 0 && ctx.Err() == nil {
		c.log.Warn().Strs("causes", causes).Msg("likely causes why the broker says no")
	}
}

// begin makes s the current session and starts it.
func (c *Conn) begin(s *session) {
	c.mu.Lock()
	c.stats.Epoch++
	s.epoch = c.stats.Epoch
	c.table.reset()
	c.cur = s
	c.mu.Unlock()
	s.start()
}

// mourn reports a loss and returns the wait before the next attempt.
func (c *Conn) mourn(s *session, err error, cut bool) time.Duration {
	now := time.Now()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
		err = errClosed
	}
	err = fmt.Errorf("link: connection %d lost: %w", s.epoch, err)
	c.mu.Lock()
	c.stats.Losses++
	blamed := cut && s.accuse(now)
	c.mu.Unlock()
	wait, inUse := c.back.lost(now, now.Sub(s.born), blamed || !cut)
	if inUse { // C-14
		err = fmt.Errorf("%w %q: lost again right after CONNECT, as when two processes use one id: %s: %w", ErrIDInUse, c.cfg.ClientID, oneProcess, err)
	}
	c.down(err, wait)
	return wait
}

// down tells that there is no link, and why.
func (c *Conn) down(err error, wait time.Duration) {
	c.mu.Lock()
	c.stats.LastError, c.stats.LastErrorAt = err.Error(), time.Now()
	epoch := c.stats.Epoch
	c.emit(State{Epoch: epoch, Err: err})
	c.mu.Unlock()
	c.log.Warn().Uint64("epoch", epoch).Dur("retry_in", wait).Err(err).Msg("link down")
}

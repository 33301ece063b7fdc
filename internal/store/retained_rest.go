package store

import "time"

// resting is a large message that is not to be written yet.
type resting struct {
	m            *RetainedMessage
	since, until time.Time // when its topic began to wait, and does so no more
}

// lay lets m rest, in place of the one before it; r.mu is locked.
func (r *Retained) lay(m *RetainedMessage) {
	now := time.Now()
	at, again := r.resting[m.Topic]
	if !again {
		at.since = now
	}
	at.m, at.until = m, now.Add(r.rest)
	if last := at.since.Add(restAtMost); last.Before(at.until) {
		at.until = last
	}
	r.resting[m.Topic] = at
	if r.ripe == nil {
		r.look(r.rest)
	}
}

// look sees to it that ripen is called then.
func (r *Retained) look(then time.Duration) {
	r.ripe = time.AfterFunc(then, func() {
		r.mu.Lock()
		r.due = true
		r.mu.Unlock()
		r.rouse()
	})
}

// ripen hands over what has rested enough, or with all everything, to be written.
// It looks again when the next one has, those of a moment together.
func (r *Retained) ripen(all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.due && !all {
		return
	}
	if r.ripe != nil {
		r.ripe.Stop()
	}
	r.ripe, r.due = nil, false
	now, next := time.Now(), time.Time{}
	for topic, at := range r.resting {
		switch {
		case all || !at.until.After(now):
			r.pending[topic] = at.m
			delete(r.resting, topic)
		case next.IsZero() || at.until.Before(next):
			next = at.until
		}
	}
	if !next.IsZero() {
		r.look(max(next.Sub(now), r.rest/10))
	}
}

func (r *Retained) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

package site

import (
	"slices"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// saveWithin is how long a change that nothing was said of yet waits for the
// transaction of the next: a round costs one of them, that of its entry (S-5).
const saveWithin ms = 50

// jotWithin is how long what was jotted down waits for its transaction, as an update does
// for its sync, and mostJots how often the next jot puts that off.
const (
	jotWithin = syncAfter
	mostJots  = 16
)

// later has a change of a task become durable, together with what comes until then.
func (s *site) later(t *task, c change) {
	u := &t.unsaved
	if c.State != nil {
		u.State = c.State
	}
	if c.Feedback != nil {
		u.Feedback = c.Feedback
	}
	u.Drop = append(u.Drop, c.Drop...)
	if e := u.Entry; e != nil && slices.Contains(c.Drop, e.Round) {
		if e.Blob != (wire.BlobKey{}) {
			u.Gone = append(u.Gone, e.Content)
		}
		u.Entry, u.Envelope = nil, nil
	}
	u.Gone = append(u.Gone, c.Gone...)
	if c.Control != nil {
		if was := u.Control; was != nil && *was != *c.Control {
			u.Gone = append(u.Gone, *was)
		}
		u.Control = c.Control
	}
	if c.Model != nil {
		if was := u.Model; was != nil && !was.InState && was.Content != c.Model.Content {
			u.Gone = append(u.Gone, was.Content)
		}
		u.Model = c.Model
	}
	if t.saveAt == 0 && !u.empty() {
		t.saveAt = s.now() + saveWithin
	}
}

// flush makes durable what has changed of a task.
func (s *site) flush(t *task) error {
	c := t.unsaved
	t.unsaved, t.saveAt, t.jots = change{}, 0, 0
	if c.empty() {
		return nil
	}
	return s.disk.Save(t.Name, c)
}

// putEntry puts an entry and its envelope into the outbox, with all that has changed.
// That of a plain update is jotted down, and becomes durable while it is on its way
// (S-11).
func (s *site) putEntry(t *task, h wire.Header, e member.Entry, envelope []byte) error {
	t.unsaved.Entry, t.unsaved.Envelope = &e, envelope
	if !t.plain(h, e) {
		return s.flush(t)
	}
	if t.jots++; t.jots <= mostJots { // of fast rounds the transaction comes when they rest
		t.saveAt = s.now() + jotWithin
	}
	if err := s.disk.Jot(t.Name, t.unsaved); err != nil {
		return err
	}
	return s.letGo(t)
}

// letGo removes what a jot has no use for any more, so that fast rounds have no more files
// than slow ones. The end of the process does not take the jot. After a power loss one of
// before may be the last: what is gone of that is made or fetched again (S-11).
func (s *site) letGo(t *task) error {
	gone := t.unsaved.Gone
	t.unsaved.Gone = nil
	if len(gone) == 0 {
		return nil
	}
	used := map[model.Hash]bool{}
	for _, o := range s.tasks {
		o.unsaved.use(used)
		if o.writing != nil {
			used[o.writing.kept.Content] = true
		}
	}
	return s.disk.Remove(slices.DeleteFunc(gone, func(id model.Hash) bool { return used[id] })...)
}

// use adds what a change names.
func (c change) use(used map[model.Hash]bool) {
	if c.Model != nil {
		used[c.Model.Content] = true
	}
	if c.Entry != nil {
		used[c.Entry.Content] = true
	}
	if c.Control != nil {
		used[*c.Control] = true
	}
	if c.Feedback != nil {
		for _, id := range c.Feedback.files() {
			used[id] = true
		}
	}
}

// envelopeOf is the envelope of an entry, which may be jotted down only.
func (s *site) envelopeOf(t *task, round uint64) ([]byte, error) {
	if u := &t.unsaved; u.Entry != nil && u.Entry.Round == round {
		return u.Envelope, nil
	}
	return s.disk.Envelope(t.Name, round)
}

// says reports whether something is to be sent that tells what the state is.
func says(list []member.Send) bool {
	return slices.ContainsFunc(list, func(m member.Send) bool {
		switch m.(type) {
		case member.SendJoin, member.SendDecline, member.SendNeed:
			return true
		}
		return false
	})
}

// syncAfter is after what time an update is synced whose fate is not known by then.
const syncAfter ms = 5_000

// syncLater has an update synced if it is of use for long.
func (s *site) syncLater(id model.Hash) {
	s.unsynced = append(s.unsynced, unsynced{id, s.now() + syncAfter})
}

// syncDue syncs the updates whose time has come, beside everything else.
func (s *site) syncDue(now ms) {
	for len(s.unsynced) > 0 && s.unsynced[0].at <= now {
		id := s.unsynced[0].id
		s.unsynced = s.unsynced[1:]
		s.beside(func() error { return s.disk.Sync(id) })
	}
}

// beside does something that nobody waits for, unless it fails.
func (s *site) beside(do func() error) {
	s.goes.Go(func() {
		if err := do(); err != nil {
			select {
			case s.failed <- err:
			case <-s.life.Done():
			}
		}
	})
}

// plain reports whether an update can be made again if it is lost: no noise was drawn
// for it, and no state at the site depends on it.
func (t *task) plain(h wire.Header, e member.Entry) bool {
	f := t.left()
	if f.Own != nil { // in the transaction of the update that they go with
		return false
	}
	return !e.Control && (f.Coming == nil || f.Coming.Round != h.Round)
}

package site

import (
	"errors"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
)

// errStopped ends the loop when it is to stop.
var errStopped = errors.New("site: stopped")

// loop is the driver: it waits for something to happen, has the machines take it
// and does what they owe, until it is to stop (nil) or the site cannot go on.
func (s *site) loop(stop <-chan struct{}, ended <-chan error) error {
	defer s.unverified.end()
	s.lookAtHours()
	for _, t := range s.tasks {
		s.tell(t, member.Tick{})
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		err := errors.Join(s.work(), s.doOwn())
		s.conn.Spent(s.part)
		s.part = nil
		s.showChanges()
		s.show()
		if err != nil {
			return err
		}
		timer.Reset(s.untilNext())
		if err := s.wait(stop, timer.C, ended); errors.Is(err, errStopped) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// wait waits for one thing to happen, and tells it to the machines.
func (s *site) wait(stop <-chan struct{}, timer <-chan time.Time, ended <-chan error) error {
	select {
	case <-stop:
		return errStopped
	case err := <-ended:
		if err == nil {
			err = errors.New("site: the connection ended")
		}
		return err
	case st := <-s.conn.States():
		s.onState(st)
	case m := <-s.conn.Messages():
		s.onMessage(m)
	case r := <-s.results:
		return s.onResult(r)
	case p := <-s.published:
		s.onPublished(p)
	case w := <-s.written:
		return s.note(w)
	case err := <-s.failed:
		return err
	case l := <-s.seeker.found:
		s.onLooked(l)
	case <-s.nudges:
		if s.running != nil {
			s.running.task.progress = true
		}
	case <-timer:
		return s.onTimer()
	}
	return nil
}

// work has the machines take what they were told, one event after the other, and
// does what each owes, until there is nothing to tell.
func (s *site) work() error {
	for len(s.events) > 0 {
		e := s.events[0]
		s.events = s.events[1:]
		e.task.m.Step(s.now(), e.event)
		if err := s.do(e.task, e.task.m.Ready()); err != nil {
			return err
		}
		if err := s.feed(); err != nil {
			return err
		}
	}
	return nil
}

// onState follows the connection.
func (s *site) onState(st link.State) {
	denied := ""
	if st.Up && st.Err != nil {
		denied = st.Err.Error()
		s.cfg.Log.Error().Err(st.Err).Msg("subscription denied")
	}
	again := st.Up && s.online
	s.online, s.connection = st.Up, st.Epoch
	s.conn.SetWill(s.will())
	if st.Up && !again {
		s.beatState()
		s.seeker.at = s.now() + seekFirst
	}
	for _, t := range s.tasks {
		if st.Up && (!again || t.denied != denied) {
			t.denied = denied
			s.publishStatus(t, 1)
		}
		if !again {
			t.released.linked(s.now(), st.Up)
			s.tell(t, linkEvent(st.Up))
		}
	}
}

// linkEvent is what a machine hears of a new link, or that there is none.
func linkEvent(up bool) member.Event {
	if up {
		return member.Connected{}
	}
	return member.Disconnected{}
}

// onPublished takes in what came of a publish.
func (s *site) onPublished(p published) {
	if p.err != nil {
		s.unsent(p)
	} else {
		s.sent(p)
	}
	s.tell(p.task, p.event)
}

// onTimer does what is due by the clock.
func (s *site) onTimer() error {
	now := s.now()
	if s.hoursAt != 0 && now >= s.hoursAt {
		s.lookAtHours()
	}
	for _, t := range s.tasks {
		if err := s.timerOf(t, now); err != nil {
			return err
		}
	}
	s.syncDue(now)
	if s.online && now >= s.stateBeat {
		s.beatState()
	}
	s.unverified.flush(now)
	s.seek()
	return nil
}

// timerOf does what is due of a task.
func (s *site) timerOf(t *task, now ms) error {
	if t.wake != 0 && now >= t.wake {
		s.tell(t, member.Tick{})
	}
	if !t.changed && (t.progress && now >= t.published+progressEvery || s.online && now >= t.beat) {
		s.publishStatus(t, 0)
	}
	if p := t.released.pull; p != nil && p.wake != 0 && now >= p.wake && !s.shut {
		p.puller.Tick(now)
	}
	if t.saveAt != 0 && now >= t.saveAt {
		return s.flush(t)
	}
	return nil
}

// untilNext is the time to the next thing that is due.
func (s *site) untilNext() time.Duration {
	next := s.now() + mostBeat
	by := func(at ms) {
		if at != 0 {
			next = min(next, at)
		}
	}
	for _, t := range s.tasks {
		by(t.wake)
		by(t.saveAt)
		if t.released.pull != nil {
			by(t.released.pull.wake)
		}
		if t.progress {
			by(t.published + progressEvery)
		}
		if t.changed {
			by(max(t.shownAt(), 1))
		}
		if s.online {
			by(t.beat)
		}
	}
	if s.online {
		by(s.stateBeat)
	}
	if len(s.unsynced) > 0 {
		by(s.unsynced[0].at)
	}
	by(s.hoursAt)
	by(s.unverified.due())
	by(s.seeker.due(s.online))
	return time.Duration(max(next-s.now(), 0)) * time.Millisecond
}

// hoursAgain is how long a look at the clock lasts at most: it may be set.
const hoursAgain = 10 * time.Minute

// lookAtHours begins or ends the hours of parts.
func (s *site) lookAtHours() {
	h, now := s.cfg.Hours, s.cfg.Now()
	if h.always() {
		return
	}
	next := min(h.change(now).Sub(now), hoursAgain)
	s.hoursAt = s.now() + max(next.Milliseconds(), 1)
	if s.shut == !h.open(now) {
		return
	}
	s.shut = !s.shut
	s.cfg.Log.Info().Bool("open", !s.shut).Msg("hours of parts")
	for _, t := range s.tasks {
		s.tell(t, member.HoursChanged{Open: !s.shut})
	}
}

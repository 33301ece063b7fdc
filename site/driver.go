package site

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
)

// sent tells that the publish of an entry has ended.
type sent struct {
	task  *task
	round uint64
	err   error
}

// errStopped ends the loop when ctx has ended.
var errStopped = errors.New("site: stopped")

// loop is the driver: one event at a time, until ctx ends (nil) or the site
// cannot go on.
func (s *site) loop(ctx, jobs context.Context, ended <-chan error) error {
	defer s.refused.end()
	if err := s.lookAtHours(jobs); err != nil {
		return err
	}
	for _, t := range s.tasks {
		if err := s.step(jobs, t, member.Tick{}); err != nil {
			return err
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(s.untilNext())
		err := s.once(ctx, jobs, timer.C, ended)
		s.showChanges()
		s.show()
		if errors.Is(err, errStopped) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// once waits for one event and takes it.
func (s *site) once(ctx, jobs context.Context, timer <-chan time.Time, ended <-chan error) error {
	select {
	case <-ctx.Done():
		return errStopped
	case err := <-ended:
		if err == nil {
			err = errors.New("site: the connection ended")
		}
		return err
	case st := <-s.conn.States():
		return s.onState(jobs, st)
	case m := <-s.conn.Messages():
		return s.onMessage(jobs, m)
	case r := <-s.results:
		return s.onResult(jobs, r)
	case e := <-s.sent:
		return s.onSent(jobs, e)
	case l := <-s.seeker.found:
		s.onLooked(l)
	case e := <-s.parts:
		return s.onPartSent(jobs, e)
	case <-s.nudges:
		if s.running != nil {
			s.running.task.behind = true
		}
	case <-timer:
		return s.onTimer(jobs)
	}
	return nil
}

// step gives a machine an event and does what it owes, until it owes nothing.
func (s *site) step(jobs context.Context, t *task, ev member.Event) error {
	for ev != nil {
		t.m.Step(s.now(), ev)
		var err error
		if ev, err = s.workOff(jobs, t, t.m.Ready()); err != nil {
			return err
		}
	}
	return nil
}

// workOff does one Ready and what follows from it: the parts that may be sent
// now. It returns the event that comes of either.
func (s *site) workOff(jobs context.Context, t *task, r member.Ready) (member.Event, error) {
	next, err := s.do(jobs, t, r)
	if err != nil {
		return nil, err
	}
	t.stopUpload()
	lost, err := s.uploadOn(jobs, t)
	if next == nil {
		return lost, err
	}
	return next, err // what is lost shows again
}

// do works off one Ready in its order, and returns the event that follows from
// sealing.
func (s *site) do(jobs context.Context, t *task, r member.Ready) (next member.Event, err error) {
	if r.Save != nil || len(r.Drop) > 0 {
		if err := s.disk.Save(t.Name, r.Save, r.Drop); err != nil {
			return nil, err
		}
		if len(r.Drop) > 0 {
			crash.At("outbox.dropped")
		}
	}
	if r.Cancel != 0 {
		s.cancelJob(t, r.Cancel)
	}
	if r.Seal != nil {
		if next, err = s.seal(t, *r.Seal); err != nil {
			return nil, err
		}
	}
	if r.Reseal != nil {
		if next, err = s.reseal(t, *r.Reseal); err != nil {
			return nil, err
		}
	}
	if r.Pull != nil {
		t.pull.want = *r.Pull
		if err := s.aim(jobs, t); err != nil {
			return nil, err
		}
	}
	for _, g := range r.Grants {
		if err := s.onGrant(t, g); err != nil {
			return nil, err
		}
	}
	for _, m := range r.Send {
		if err := s.send(jobs, t, m); err != nil {
			return nil, err
		}
	}
	for _, a := range r.Ask {
		s.conn.Resubscribe(s.asked(t, a))
	}
	if r.Start != nil {
		s.queue = append(s.queue, &assignment{task: t, job: *r.Start})
	}
	if r.Show != nil {
		t.view, t.changed = *r.Show, true
	}
	if r.Anew != "" {
		t.welcomed, t.settled = 0, Audited{}
		s.cfg.Log.Warn().Str("task", t.Name).Stringer("origin", t.m.Origin()).Msg(r.Anew)
	}
	t.wake = r.Wake
	if r.Stop != "" {
		s.cfg.Log.Error().Str("instance", s.instance.String()).Msg(r.Stop)
		return nil, errors.Join(ErrSuperseded, s.becomeAnother())
	}
	if r.Wait != nil {
		return nil, standby{*r.Wait}
	}
	return next, s.feed(jobs)
}

// asked is the topic of an ask.
func (s *site) asked(t *task, a member.Ask) string {
	switch a {
	case member.AskOrder:
		return t.owner.Order()
	case member.AskRecord:
		return t.owner.Record()
	case member.AskModel:
		return t.owner.Model()
	case member.AskReply:
	}
	return t.owner.Reply(s.cfg.Member)
}

func (s *site) onState(jobs context.Context, st link.State) error {
	denied := ""
	if st.Up && st.Err != nil {
		denied = st.Err.Error()
		s.cfg.Log.Error().Err(st.Err).Msg("subscription denied")
	}
	again := st.Up && s.online
	s.online = st.Up
	if st.Up && !again {
		s.beatState()
		s.seeker.at = s.now() + seekFirst
	}
	for _, t := range s.tasks {
		if st.Up && (!again || t.denied != denied) {
			t.denied = denied
			s.publishStatus(t, 1)
		}
		if st.Up && again {
			continue
		}
		if err := s.onLink(jobs, t, st.Up); err != nil {
			return err
		}
	}
	return nil
}

// onLink tells a task of a new link, or that there is none.
func (s *site) onLink(jobs context.Context, t *task, up bool) error {
	var ev member.Event = member.Connected{}
	if !up {
		ev = member.Disconnected{}
		t.dropGrants()
	}
	if err := s.pullLink(jobs, t, up); err != nil {
		return err
	}
	return s.step(jobs, t, ev)
}

// beatState publishes the presence and sets its next time.
func (s *site) beatState() {
	s.conn.Post(s.state(true))
	s.stateBeat = s.now() + s.heartbeat(s.tasks[0])
}

// onTimer does what is due by the clock.
func (s *site) onTimer(jobs context.Context) error {
	now := s.now()
	if s.hoursAt != 0 && now >= s.hoursAt {
		if err := s.lookAtHours(jobs); err != nil {
			return err
		}
	}
	for _, t := range s.tasks {
		if t.wake != 0 && now >= t.wake || t.paced != 0 && now >= t.paced {
			if err := s.step(jobs, t, member.Tick{}); err != nil {
				return err
			}
		}
		if t.pull.wake != 0 && now >= t.pull.wake {
			t.pull.puller.Tick(now)
			if err := s.pullOn(jobs, t); err != nil {
				return err
			}
		}
		if t.behind && now >= t.published+progressEvery || s.online && now >= t.beat {
			s.publishStatus(t, 0)
		}
	}
	if s.online && now >= s.stateBeat {
		s.beatState()
	}
	s.refused.flush(now)
	s.seek(jobs)
	return nil
}

// progressEvery is the least time between two statuses of progress.
const progressEvery ms = 1_000

// untilNext is the time to the next thing that is due.
func (s *site) untilNext() time.Duration {
	next := s.now() + mostBeat
	if s.online {
		next = min(next, s.stateBeat)
	}
	for _, t := range s.tasks {
		if t.wake != 0 {
			next = min(next, t.wake)
		}
		for _, at := range []ms{t.pull.wake, t.paced} {
			if at != 0 {
				next = min(next, at)
			}
		}
		if t.behind {
			next = min(next, t.published+progressEvery)
		}
		if s.online {
			next = min(next, t.beat)
		}
	}
	if s.hoursAt != 0 {
		next = min(next, s.hoursAt)
	}
	for _, at := range []ms{s.refused.due(), s.seeker.due(s.online)} {
		if at != 0 {
			next = min(next, at)
		}
	}
	return time.Duration(max(next-s.now(), 0)) * time.Millisecond
}

// showChanges publishes the status of every task whose phase is new: what came
// of one event is shown once.
func (s *site) showChanges() {
	s.foundAgain()
	s.sayUnheard()
	for _, t := range s.tasks {
		if t.changed {
			s.publishStatus(t, 1)
		}
	}
}

// onSent notes that an entry may be sent again, and has it sent again if nobody
// may have listened.
func (s *site) onSent(jobs context.Context, e sent) error {
	again := e.task.sending[e.round]
	delete(e.task.sending, e.round)
	if e.err != nil {
		s.unsent(zerolog.WarnLevel, e.task, "update", e.round, e.err)
	} else {
		s.auditSent(e.task, e.round)
		crash.At("offer.after")
	}
	if again {
		return s.step(jobs, e.task, member.OwnerBack{})
	}
	return nil
}

// unsent says that the broker did not take a message.
func (s *site) unsent(level zerolog.Level, t *task, what string, round uint64, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	s.cfg.Log.WithLevel(level).Str("task", t.Name).Uint64("round", round).Err(err).Msg(what + " not acknowledged by the broker")
	if !errors.Is(err, link.ErrQuarantined) && !errors.Is(err, link.ErrTooLarge) {
		return
	}
	if text := fmt.Sprintf("%s of round %d: %v", what, round, err); text != t.trouble {
		t.trouble = text
		s.publishStatus(t, 1)
	}
}

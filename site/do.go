package site

import (
	"errors"
	"slices"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
)

// do works off one Ready in its order.
func (s *site) do(t *task, r member.Ready) error {
	for _, f := range []func(*task, member.Ready) error{s.save, s.seal, s.receive, s.send} {
		if err := f(t, r); err != nil {
			return err
		}
	}
	if r.Start != nil {
		s.noteTerms(t, *r.Start)
		s.enqueue(&assignment{task: t, job: *r.Start, queued: s.now()})
	}
	t.fates = append(t.fates, r.Settled...)
	if r.Show != nil {
		t.view, t.changed = *r.Show, true
		s.share()
	}
	if r.Anew != "" {
		t.welcomed, t.settled = 0, Audited{}
		if err := s.ownAnew(t); err != nil {
			return err
		}
		s.cfg.Log.Warn().Str("task", t.Name).Stringer("origin", t.m.Origin()).Msg(r.Anew)
	}
	if slices.ContainsFunc(r.Settled, func(f member.Settled) bool { return f.Counted }) {
		t.refused = ""
	}
	t.progress = t.progress || r.Progress
	t.wake = r.Wake
	return s.leaves(r)
}

// save has the state of a task become durable, and the model that came for it: now, if
// anything is said of it.
func (s *site) save(t *task, r member.Ready) error {
	if err := s.settleControls(t, r.Settled); err != nil {
		return err
	}
	if r.Anew != "" && !t.control.IsZero() {
		t.control = model.Hash{}
		s.later(t, change{Control: new(model.Hash)})
	}
	s.later(t, change{State: r.Save, Drop: r.Drop})
	s.refeed(t, r)
	if r.Store != nil {
		l := t.latest
		t.latest = nil
		if err := s.hold(t, l.Stored, l.model, nil, false); err != nil {
			return err
		}
		s.auditModel(t, l.Content, int64(len(l.model.Blob)))
	}
	if says(r.Send) || r.Stop != "" || r.Wait != nil {
		if err := s.flush(t); err != nil {
			return err
		}
	}
	if r.Cancel != 0 {
		s.cancelJob(t, r.Cancel)
	}
	return nil
}

// share tells the link how many come back with this site when the broker does.
func (s *site) share() {
	n := 0
	for _, t := range s.tasks {
		n = max(n, t.view.Members)
	}
	s.conn.Share(n)
}

// leaves ends the site if a machine says so.
func (s *site) leaves(r member.Ready) error {
	if r.Stop != "" {
		s.cfg.Log.Error().Str("instance", s.instance.String()).Msg(r.Stop)
		return errors.Join(ErrSuperseded, s.becomeAnother())
	}
	if r.Wait != nil {
		return standby{*r.Wait}
	}
	return nil
}

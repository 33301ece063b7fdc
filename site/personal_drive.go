package site

import (
	"context"
	"strings"

	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
)

// doOwn goes on with what is to be trained for the site itself: the parts of it are asked for,
// and the trainer gets it when no round wants it.
func (s *site) doOwn() error {
	for _, t := range s.tasks {
		if t.Personalise == nil || !s.ownDue(t) {
			continue
		}
		if err := s.pullReleased(t); err != nil {
			return err
		}
		if s.running == nil && !t.released.over {
			if err := s.beginOwn(t); err != nil {
				return err
			}
		}
	}
	return nil
}

// ownDue reports whether there is a released version to be trained for the site itself.
func (s *site) ownDue(t *task) bool {
	r := &t.released
	switch {
	case r.over || r.is.Content.IsZero() || r.origin != t.m.Origin():
		return false
	case t.left().Terms == nil:
		if r.note == "" {
			r.note, t.changed = "waits for an order of training for this site, which says the settings", true
		}
		return false
	case !t.m.Fits(r.is):
		s.endOwn(t, "it has another form than the model that is trained here")
		return false
	}
	return true
}

// beginOwn trains the released version, if the site has it whole.
func (s *site) beginOwn(t *task) error {
	r := &t.released
	var base *held
	switch {
	case r.model != nil:
		base = &held{Stored: r.is, model: r.model}
	case r.lost || !t.m.Has(r.is):
		return nil // it comes in parts
	default:
		if err := s.atRest(t); err != nil {
			return err
		}
	}
	j, why := s.personalJob(t, base)
	if why != "" {
		s.endOwn(t, why)
		return nil
	}
	ctx, cancel := context.WithCancel(s.life)
	s.running = &assignment{task: t, job: j.Job, own: true, cancel: cancel, began: s.now()}
	r.note = ""
	t.changed = true
	s.goes.Go(func() { s.results <- work(ctx, j) })
	return nil
}

// unfitForOwn says why the trainer cannot do it.
func (s *site) unfitForOwn(t *task) string {
	if t.Trainer.Samples() <= 0 {
		return "the site has no training rows"
	}
	own := trainer.ContractOf(t.Trainer)
	if own != nil && !trainer.Follows(t.Trainer) && t.contract != nil && own.Hash() != t.contract.Hash() {
		return strings.Join(pipeline.Differences(s.cfg.Member, own, t.contract), "; ")
	}
	if name, _ := trainer.UnknownSetting(trainer.SettingsOf(t.Trainer), t.left().Terms.Settings); name != "" {
		return "the trainer does not know the setting " + name
	}
	return ""
}

// yield has a training for the site itself begin anew when no round wants the trainer.
func (s *site) yield() {
	if a := s.running; a != nil && a.own {
		a.stop()
	}
}

// onOwn takes what a training for the site itself has left.
func (s *site) onOwn(a *assignment, r result) error {
	t, of := a.task, &a.task.released
	if a.job.Base != of.is.Content || of.over {
		return nil // another one was released
	}
	if r.err != nil {
		of.lost = isGone(r.err) // it is not at hand any more
		return unless(of.lost, r.err)
	}
	if r.reason != "" {
		if !a.gone { // else a round took the trainer
			s.endOwn(t, r.detail)
		}
		return nil
	}
	if err := s.keepPersonal(t, r.fitted); err != nil {
		return err
	}
	of.over, of.model = true, nil
	c := r.fitted.Compared
	s.cfg.Log.Info().Str("task", t.Name).Uint64("version", of.version).Str("metric", c.Metric).Float64("own", c.Own).Float64("global", c.Global).
		Int("rows", c.Rows).Bool("used", c.Used).Msg("trained the released version for this site itself")
	s.publishStatus(t, 1)
	return nil
}

// unless is err if ok is not.
func unless(ok bool, err error) error {
	if ok {
		return nil
	}
	return err
}

// endOwn says why nothing is made of the released version.
func (s *site) endOwn(t *task, why string) {
	r := &t.released
	r.over, r.model, r.note = true, nil, why
	s.cfg.Log.Warn().Str("task", t.Name).Uint64("version", r.version).Str("detail", why).Msg("the released version is used as it is: it cannot be trained for this site itself")
	t.changed = true
}

// PersonalStatus is what became of the released version at a site that trains it for itself (S-57).
type PersonalStatus struct {
	Version uint64   `json:"version"`          // the released one
	Done    bool     `json:"done"`             // nothing more comes of it
	Metric  string   `json:"metric,omitempty"` // by which the own model and the released one are compared
	Rows    int      `json:"rows,omitempty"`   // validation rows of the site that both were measured on
	Own     *float64 `json:"own,omitempty"`    // value of the own model
	Global  *float64 `json:"global,omitempty"` // of the released one
	Used    bool     `json:"used"`             // the own one is better here
	Note    string   `json:"note,omitempty"`   // why there is no own one, or what it waits for
}

// personal is what the status says of it; nil: nothing.
func (t *task) personal() *PersonalStatus {
	r := t.released
	if r.is.Content.IsZero() {
		return nil
	}
	out := &PersonalStatus{Version: r.version, Done: r.over, Note: clip(r.note)}
	if p := t.left().Personal; p != nil && r.over && r.note == "" {
		own, global := p.Own, p.Global
		out.Metric, out.Rows, out.Used, out.Own, out.Global = p.Metric, p.Rows, p.Used, &own, &global
	}
	return out
}

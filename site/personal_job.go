package site

import (
	"context"
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// errNoRows: nobody can say which model is better.
var errNoRows = errors.New("nothing is measured here: the site has no validation rows (test or split of its trainer; evaluate of a program)")

// fitted is what a training for the site itself has left.
type fitted struct {
	model *model.Model
	Compared
}

// personalise trains the released version for the site itself (S-57), and measures both on
// the rows that the site does not train on.
func (r *result) personalise(ctx context.Context, j job, tj trainer.Job) error {
	global, err := j.global()
	if err != nil {
		return err
	}
	if err := j.settleIn(global); err != nil {
		return err
	}
	plain, e := global.WithoutControls(), j.trainer.(trainer.Evaluator) // checked
	was, err := e.Evaluate(ctx, tj, plain)
	if err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	if was.Metrics[trainer.SumN] <= 0 {
		return errNoRows
	}
	local, err := j.trainer.Train(ctx, tj, plain)
	if err != nil {
		return err
	}
	if local == nil {
		return errors.New("the trainer returned no model")
	}
	if d := local.Schema.Difference(plain.Schema); d != "" {
		return fmt.Errorf("the trained model is not as the one received: %s", d)
	}
	if err := errors.Join(local.Check(), local.Finite()); err != nil {
		return err
	}
	local = local.Clone() // the trainer may use it again
	is, err := e.Evaluate(ctx, tj, local)
	if err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	compared, err := compare(j.personalise.Metric, is, was)
	r.fitted = &fitted{local, compared}
	return err
}

// keepPersonal writes what a training for the site itself has left, and makes it durable.
func (s *site) keepPersonal(t *task, f *fitted) error {
	id, err := s.durable(f.model.Blob)
	if err != nil {
		return err
	}
	left, of := t.left(), t.released
	left.Personal = &personal{
		Epoch: of.epoch, Version: of.version, Base: of.is.Content, By: t.Personalise.withDefaults(), Content: id, Schema: f.model.Schema, Compared: f.Compared,
	}
	s.setFeedback(t, left)
	return s.flush(t)
}

// personalJob is the training that a released version asks for, or why there can be none.
func (s *site) personalJob(t *task, base *held) (_ job, why string) {
	if why := s.unfitForOwn(t); why != "" {
		return job{}, why
	}
	if err := t.Personalise.check(t.Trainer); err != nil { // it may follow the task since
		return job{}, err.Error()
	}
	of, by := t.left().Terms, t.Personalise.withDefaults()
	settings, err := by.settings(of.Settings, t.Trainer)
	if err != nil {
		return job{}, err.Error()
	}
	j := job{
		Job:  member.Job{Key: member.Key{Round: t.released.version, Base: t.released.is.Content}, Settings: settings, Seed: of.Seed, Locals: of.Locals},
		task: t.Name, member: s.cfg.Member, trainer: t.Trainer, contract: t.contract, disk: s.disk, base: base, fates: t.fates,
		left: t.left, rest: s.disk.Update, personalise: &by, progress: func(int, int) {},
	}
	if t.contract != nil {
		j.Contract = t.contract.Hash()
	}
	t.fates = nil
	return j, ""
}

// Fitted is the model that a site has trained for itself from a version that its task has
// released (S-57).
type Fitted struct {
	Node    string // of the site
	Version uint64 // the released one
	Base    model.Hash
	Model   *model.Model // nil: there is none
	Compared
}

// Personal reads the model that a site has trained for itself in a task from its data directory,
// in which no site runs.
func Personal(dir, task string) (out Fitted, err error) {
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	node, f, err := privateOf(s, task)
	p := f.Personal
	if out.Node = node; err != nil || p == nil {
		return out, err
	}
	blob, err := s.Blob(p.Content)
	if err != nil {
		return out, err
	}
	out.Version, out.Base, out.Compared = p.Version, p.Base, p.Compared
	out.Model = &model.Model{Schema: p.Schema, Blob: blob}
	return out, out.Model.Check()
}

package site

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// assignment is a job of a task, waiting or running.
type assignment struct {
	task   *task
	job    member.Job
	cancel context.CancelFunc
	began  ms
	gone   bool // not wanted any more
}

// feed gives the trainer the next job, if it is free (S-19).
func (s *site) feed(jobs context.Context) error {
	for s.running == nil && len(s.queue) > 0 {
		j := s.queue[0]
		s.queue = s.queue[1:]
		if j.gone {
			continue
		}
		t := j.task
		t.done.Store(0)
		t.total.Store(0)
		if t.samples = t.Trainer.Samples(); t.samples <= 0 {
			if err := s.step(jobs, t, member.Finished{ID: j.job.ID, Reason: wire.DeclineNoData}); err != nil {
				return err
			}
			continue
		}
		if name, nearest := trainer.UnknownSetting(trainer.SettingsOf(t.Trainer), json.RawMessage(j.job.Settings)); name != "" {
			if err := s.strange(jobs, t, j.job, name, nearest); err != nil {
				return err
			}
			continue
		}
		var ctx context.Context
		ctx, j.cancel = context.WithCancel(jobs)
		s.running, j.began = j, s.now()
		crash.At("train.started")
		s.goes.Go(func() { s.results <- work(ctx, t, s.disk, j.job, s.cfg.Member) })
		return s.step(jobs, t, member.Began{ID: j.job.ID})
	}
	return nil
}

// strange declines an order with a setting that the trainer does not know
// (S-43).
func (s *site) strange(jobs context.Context, t *task, j member.Job, name, nearest string) error {
	detail := name
	if nearest != "" {
		detail += ", nearest " + nearest
	}
	s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", j.Round).Str("reason", wire.DeclineSetting).Str("detail", detail).
		Msg("no update: below train: of the aggregator's configuration is a setting that this trainer does not know")
	return s.step(jobs, t, member.Finished{ID: j.ID, Reason: wire.DeclineSetting, Detail: detail})
}

// cancelJob takes a job out of the queue, or tells the trainer to stop. The
// trainer is free when it has returned.
func (s *site) cancelJob(t *task, id uint64) {
	for _, j := range s.queue {
		if j.task == t && j.job.ID == id {
			j.gone = true
		}
	}
	if j := s.running; j != nil && j.task == t && j.job.ID == id {
		j.gone = true
		j.cancel()
	}
	t.result = nil
}

// onResult takes what a job has left.
func (s *site) onResult(jobs context.Context, r result) error {
	j := s.running
	s.running = nil
	j.cancel()
	t := r.task
	crash.At("train.finished")
	if r.stack != nil {
		s.cfg.Log.Error().Str("task", t.Name).Str("detail", r.detail).Bytes("stack", r.stack).Msg("trainer panicked")
	}
	switch {
	case j.gone:
		t.tally.job(s.now()-j.began, "cancelled")
	case r.err != nil:
		t.tally.job(s.now()-j.began, "no_model")
	default:
		t.tally.job(s.now()-j.began, r.reason)
	}
	var ev member.Event = member.Finished{ID: r.id, Reason: r.reason, Detail: r.detail}
	switch {
	case j.gone:
		return s.feed(jobs)
	case r.err != nil && !isGone(r.err):
		return r.err
	case r.err != nil:
		s.cfg.Log.Warn().Str("task", t.Name).Err(r.err).Msg("the base model is fetched again")
		t.latest = nil
		ev = member.ModelLost{}
	default:
		if r.samples > 0 {
			t.samples, t.data = r.samples, r.data
		}
		if r.scored {
			t.metrics = r.metrics.Scores()
			s.oddMetrics(t, r.odd)
		}
		if r.reason != "" {
			s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", j.job.Round).Str("reason", r.reason).Str("detail", r.detail).Msg("no update")
		}
		t.result = &r
	}
	return s.step(jobs, t, ev)
}

// oddMetrics shows what is wrong with the metrics of an evaluation, and logs
// each fault once in a row.
func (s *site) oddMetrics(t *task, odd []string) {
	for _, text := range odd {
		if !slices.Contains(t.odd, text) {
			s.cfg.Log.Warn().Str("task", t.Name).Str("metric", text).Msg("left out of the metrics")
		}
	}
	t.odd = odd
}

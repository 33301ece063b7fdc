package site

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// enqueue has a job wait for its turn: a site trains for one task at a time.
func (s *site) enqueue(a *assignment) {
	if s.running != nil && s.running.task != a.task {
		a.behind = s.running.task.Name
	}
	s.queue = append(s.queue, a)
	s.yield()
}

// longWait is how long a job waits for another task's trainer until the log says so.
const longWait = 30_000

// sayWait logs that a job had to wait for the trainer of another task: it may be too late.
func (s *site) sayWait(a *assignment) {
	if wait := s.now() - a.queued; a.behind != "" && wait >= longWait {
		s.cfg.Log.Warn().Str("task", a.task.Name).Uint64("round", a.job.Round).Str("behind", a.behind).Int64("waited_s", wait/1000).
			Msg("waited for the trainer of another task, as a site trains for one task at a time: want a longer deadline, or a process for each task, with a member and a data_dir of its own")
	}
}

// feed gives the trainer the next job, if it is free (S-19).
func (s *site) feed() error {
	for s.running == nil && len(s.queue) > 0 {
		a := s.queue[0]
		s.queue = s.queue[1:]
		if a.gone {
			continue
		}
		if why := s.unfitFor(a); why != nil {
			s.tell(a.task, *why)
			continue
		}
		if err := s.begin(a); err != nil {
			return err
		}
	}
	return nil
}

// unfitFor says why a job cannot be done here, if it cannot.
func (s *site) unfitFor(a *assignment) *member.Finished {
	t := a.task
	if t.samples = t.Trainer.Samples(); t.samples <= 0 {
		return &member.Finished{ID: a.job.ID, Reason: wire.DeclineNoData}
	}
	if why := s.disagrees(a); why != nil {
		return why
	}
	if no := trainer.Lacking(trainer.CapabilitiesOf(t.Trainer), a.job.Local.Needs); len(no) > 0 {
		return &member.Finished{ID: a.job.ID, Reason: wire.DeclineUnsupported, Detail: lacking(no)} // S-53
	}
	name, nearest := trainer.UnknownSetting(trainer.SettingsOf(t.Trainer), json.RawMessage(a.job.Settings))
	if name == "" {
		return nil
	}
	if nearest != "" {
		name += ", nearest " + nearest
	}
	s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", a.job.Round).Str("reason", wire.DeclineSetting).Str("detail", name).
		Msg("no update: below train: of the aggregator's configuration is a setting that this trainer does not know")
	return &member.Finished{ID: a.job.ID, Reason: wire.DeclineSetting, Detail: name} // S-43
}

// lacking says what a strategy needs of a trainer that has it not.
func lacking(needs []string) string {
	return "the strategy needs of the trainer " + strings.Join(needs, ", ") + ", which it does not say that it can"
}

// begin has the trainer do a job.
func (s *site) begin(a *assignment) error {
	t := a.task
	s.sayWait(a)
	base, err := s.baseOf(a)
	if err != nil {
		return err
	}
	t.done.Store(0)
	t.total.Store(0)
	j := job{
		Job: a.job, task: t.Name, member: s.cfg.Member, trainer: t.Trainer, contract: t.contract, disk: s.disk, base: base, fates: t.fates,
		left: t.left, rest: s.disk.Update, control: t.control, minCount: cmp.Or(t.MinCount, defaultMinCount), minMax: t.MinMax,
	}
	j.progress = func(done, total int) {
		t.done.Store(int64(done))
		t.total.Store(int64(total))
		s.nudge()
	}
	j.caution = func(said string) { s.cautioned(a, said) }
	t.fates = nil
	ctx, cancel := context.WithCancel(s.life)
	a.cancel, a.began, s.running = cancel, s.now(), a
	crash.At("train.started")
	s.goes.Go(func() { s.results <- work(ctx, j) })
	s.tell(t, member.Began{ID: a.job.ID})
	return nil
}

// cautioned logs what the trainer says of a model before it trains, each text once in a
// row. It is called by the job's goroutine.
func (s *site) cautioned(a *assignment, said string) {
	if was := a.task.caution.Swap(&said); said != "" && (was == nil || *was != said) {
		s.cfg.Log.Warn().Str("task", a.task.Name).Uint64("round", a.job.Round).Msg(said)
		s.nudge()
	}
}

// cancelJob takes a job out of the queue, or tells the trainer to stop. The
// trainer is free when it has returned.
func (s *site) cancelJob(t *task, id uint64) {
	for _, a := range append(slices.Clone(s.queue), s.running) {
		if a != nil && a.task == t && a.job.ID == id {
			a.stop()
		}
	}
	t.result = nil
}

// onResult takes what a job has left.
func (s *site) onResult(r result) error {
	a := s.running
	s.running = nil
	a.cancel()
	t := a.task
	if r.stack != nil {
		s.cfg.Log.Error().Str("task", t.Name).Str("detail", r.detail).Bytes("stack", r.stack).Msg("trainer panicked")
	}
	if a.own {
		return errors.Join(s.onOwn(a, r), s.feed())
	}
	crash.At("train.finished")
	t.tally.job(s.now()-a.began, a.outcome(r))
	switch {
	case a.gone:
		return s.feed()
	case r.err != nil && !isGone(r.err):
		return r.err
	case r.err != nil:
		s.cfg.Log.Warn().Str("task", t.Name).Err(r.err).Msg("the base model is fetched again")
		t.latest = nil
		s.tell(t, member.ModelLost{})
	default:
		s.keepResult(a, r)
		s.tell(t, member.Finished{ID: r.id, Reason: r.reason, Detail: r.detail})
	}
	return nil
}

// outcome is how a job is counted: why it left nothing.
func (a *assignment) outcome(r result) string {
	switch {
	case a.gone:
		return "cancelled"
	case r.err != nil:
		return "no_model"
	}
	return r.reason
}

// keepResult keeps what a job has left until it is sealed, and shows it.
func (s *site) keepResult(a *assignment, r result) {
	t := a.task
	if r.samples > 0 {
		t.samples, t.data = r.samples, r.data
	}
	if r.scored {
		t.metrics = trainer.Evaluation{Metrics: r.metrics, Counts: r.counts}.Scores()
		s.oddMetrics(t, r.odd)
	}
	if r.note != "" && r.note != t.note {
		s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", a.job.Round).Msg(r.note)
	}
	t.note = r.note
	if r.told != "" {
		s.cfg.Log.Info().Str("task", t.Name).Uint64("round", a.job.Round).Msg(r.told)
	}
	if r.begins && !t.begins {
		s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", a.job.Round).Str("data_dir", s.cfg.DataDir).
			Msg("the tensors that stay at this site (strategy.keep_local, share) begin with the values of the first model, as its data directory has none of the task: right for a site that is new to it; if not, stop it, put its former data_dir back and start it again")
	}
	t.begins = t.begins || r.begins
	if r.reason != "" {
		s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", a.job.Round).Str("reason", r.reason).Str("detail", r.detail).Msg("no update")
	}
	t.result = &r
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

package site

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// errNoModel wraps what kept a job from its base model.
var errNoModel = errors.New("site: no base model")

// job is what the trainer is asked for, and all that the work needs.
type job struct {
	member.Job
	task     string
	member   string // path
	trainer  trainer.Trainer
	contract *pipeline.Contract // of the task; nil: not known
	base     *held              // in memory, nil: it is on the disk
	disk     disk
	fates    []member.Settled // that the trainer is to be told first
	left     func() private   // that updates have left over, and tensors of the site's own
	rest     func(model.Hash) ([]byte, error)
	control  model.Hash // of the site's control variates
	offline  *Controls  // in place of that, without a disk
	progress func(done, total int)
	caution  func(said string) // what the trainer says of the model; nil: nobody asks

	personalise *Personalise // it is for the site itself; nil: for the aggregator
	minCount    int          // rows behind each number of a survey
	minMax      bool         // its extremes may leave the site
}

// work does one job in a goroutine of its own; it touches nothing of the driver's
// but its progress and the disk.
func work(ctx context.Context, j job) (r result) {
	r = result{id: j.ID}
	defer func() {
		if p := recover(); p != nil {
			r.tensors, r.metrics, r.counts, r.packed, r.scalars, r.rest, r.own, r.fitted = nil, nil, nil, nil, nil, nil, nil, nil
			r.reason, r.detail, r.stack = wire.DeclineFailed, fmt.Sprintf("panic: %v", p), debug.Stack()
		}
	}()
	err := r.do(ctx, j)
	switch {
	case err == nil:
	case errors.Is(err, errNoModel):
		r.err = err
	case errors.Is(err, errNotFinite):
		r.reason, r.detail = wire.DeclineNotFinite, err.Error()
	case errors.Is(err, trainer.ErrContract):
		r.reason, r.detail = wire.DeclineContract, err.Error()
	case errors.Is(err, trainer.ErrNeeds), errors.Is(err, errCannotCount):
		r.reason, r.detail = wire.DeclineUnsupported, err.Error()
	default:
		r.reason, r.detail = wire.DeclineFailed, err.Error()
	}
	return r
}

func (r *result) do(ctx context.Context, j job) error {
	tj := trainer.Job{
		Task: j.task, Member: j.member, Round: j.Round, Attempt: j.Attempt, Settings: j.Settings,
		Seed: trainer.Seed(j.Seed, j.member, j.Round), Progress: j.progress,
	}
	if j.Work == wire.WorkTrain {
		tj.Needs, tj.Mu = j.Local.Needs, j.Local.Mu
	}
	if err := trainer.Follow(j.trainer, j.contract, j.Contract); err != nil {
		return err
	}
	for _, f := range j.fates {
		trainer.Settle(j.trainer, f.Round, f.Counted)
	}
	if err := trainer.Refresh(ctx, j.trainer, tj); err != nil {
		return err
	}
	r.samples, r.data = j.trainer.Samples(), dataOf(j.trainer)
	if j.personalise != nil {
		return r.personalise(ctx, j, tj)
	}
	if j.Work == wire.WorkStatistics {
		return r.count(ctx, j, tj)
	}
	global, err := j.global()
	if err != nil {
		return err
	}
	r.begins = j.begins(global)
	if err := j.settleIn(global); err != nil {
		return err
	}
	plain := global.WithoutControls()
	if j.caution != nil {
		j.caution(trainer.CautionOf(j.trainer, plain))
	}
	if err := r.evaluate(ctx, j, tj, plain); err != nil || j.Work == wire.WorkEvaluate {
		return err
	}
	if !tj.Wants(trainer.NeedCorrection) {
		if err := r.train(ctx, j, tj, plain); err != nil {
			return err
		}
		return r.encode(j)
	}
	return r.controlled(ctx, j, tj, global, plain)
}

// controlled trains with control variates (S-54).
func (r *result) controlled(ctx context.Context, j job, tj trainer.Job, global, plain *model.Model) error {
	k, err := j.controlOf(global)
	if err != nil {
		return err
	}
	tj.Correction = k.correction
	if err := r.train(ctx, j, tj, plain); err != nil {
		return err
	}
	r.leaves, r.control = nil, true
	if r.tensors, err = k.change(r.tensors, r.scalars); err != nil {
		return err
	}
	if err := r.encode(j); err != nil || j.offline == nil {
		return err
	}
	told, err := decoded(r.tensors, r.encoding)
	if err == nil {
		j.offline.next, j.offline.round = addControls(j.offline.own, told), j.Round
	}
	return err
}

// global is the model that the job starts from.
func (j *job) global() (*model.Model, error) {
	if j.base != nil {
		return j.base.model, nil
	}
	global, id, err := j.disk.Model(j.task)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoModel, err)
	}
	if id != j.Base {
		return nil, fmt.Errorf("%w: another is stored", errNoModel)
	}
	return global, nil
}

// kept waits until the model that was in memory is in its file.
func (j *job) kept() {
	if j.base != nil && j.base.file != nil {
		<-j.base.file.done
	}
}

// collectFrom is the size of a model from which what is not used any more is worth a
// collection.
const collectFrom = 8 << 20

// collect gives what is not used any more back to the system, beside a model of n bytes.
// The collector by itself would let as much again pile up, and what it frees lies
// scattered where no model fits in: what a site needs would double.
func collect(n int) {
	if n >= collectFrom {
		debug.FreeOSMemory()
	}
}

// count answers a statistics order.
func (r *result) count(ctx context.Context, j job, tj trainer.Job) error {
	if j.contract != nil && !j.contract.Predicts() {
		return r.survey(ctx, j, tj)
	}
	counter, ok := j.trainer.(trainer.Statistician)
	if !ok {
		return fmt.Errorf("%w: the z-score", errCannotCount)
	}
	s, err := counter.Statistics(ctx, tj)
	if err != nil {
		return err
	}
	r.tensors = s
	return checkStatistics(s)
}

// train leaves what the trainer makes of the base.
func (r *result) train(ctx context.Context, j job, tj trainer.Job, global *model.Model) error {
	given := imprintOf(global)
	local, err := j.trainer.Train(ctx, tj, global)
	if err != nil {
		return err
	}
	if local == nil {
		return errors.New("the trainer returned no model")
	}
	if r.scalars, err = tj.ScalarsOf(j.trainer); err != nil {
		return err
	}
	r.take(&j, local)
	j.kept() // an update takes the place of the base
	r.tensors, r.leaves, err = delta(local, global, given)
	return err
}

// evaluate measures the base, where the trainer can.
func (r *result) evaluate(ctx context.Context, j job, tj trainer.Job, global *model.Model) error {
	e, ok := j.trainer.(trainer.Evaluator)
	if !ok {
		return nil
	}
	m, err := e.Evaluate(ctx, tj, global)
	if err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	r.metrics, r.counts, r.scored, r.odd = trainer.Metrics{}, m.Counted(), true, m.Problems()
	for name, v := range m.Metrics {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			r.metrics[name] = v
		}
	}
	r.pack()
	var left []string
	if r.metrics, left = wire.FitMetrics(r.metrics); len(left) > 0 {
		r.odd = append(r.odd, fmt.Sprintf("%d numbers are not sent, %.80q first: names are of [A-Za-z0-9_.:/-]{1,64}, and at most 64 of them no counts of classes", len(left), left[0]))
	}
	return nil
}

// pack makes what is sent of the counts: without their histograms, if those are too large.
func (r *result) pack() {
	if r.counts == nil {
		return
	}
	r.packed = wire.PackCounts(r.counts.Confusion, r.counts.Scores)
	if n := len(r.packed); n > wire.MaxCounts {
		r.odd = append(r.odd, fmt.Sprintf("the histograms of %d classes are not sent: %d bytes, at most %d travel", r.counts.Classes, n, wire.MaxCounts))
		r.packed = wire.PackCounts(r.counts.Confusion, nil)
	}
}

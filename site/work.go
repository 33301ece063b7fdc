package site

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"runtime/debug"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// result is what a job left: tensors and metrics, or the reason why there are
// none.
type result struct {
	task    *task
	id      uint64
	tensors *model.Model
	metrics trainer.Metrics
	samples int      // training rows
	data    *Data    // that they are from
	scored  bool     // the trainer has evaluated
	odd     []string // what is wrong with the metrics
	reason  string
	detail  string
	stack   []byte // of a panic
	err     error  // the model could not be read back
}

// errNoModel wraps what kept a job from its base model.
var errNoModel = errors.New("site: no base model")

// work does one job in a goroutine of its own; it touches nothing of the
// driver's but the two counters of progress and the disk.
func work(ctx context.Context, t *task, d disk, j member.Job, path string) (r result) {
	r = result{task: t, id: j.ID}
	defer func() {
		if p := recover(); p != nil {
			r.tensors, r.metrics = nil, nil
			r.reason, r.detail, r.stack = wire.DeclineFailed, fmt.Sprintf("panic: %v", p), debug.Stack()
		}
	}()
	err := r.do(ctx, d, j, path)
	switch {
	case err == nil:
	case errors.Is(err, errNoModel):
		r.err = err
	case errors.Is(err, errNotFinite):
		r.reason, r.detail = wire.DeclineNotFinite, err.Error()
	default:
		r.reason, r.detail = wire.DeclineFailed, err.Error()
	}
	return r
}

func (r *result) do(ctx context.Context, d disk, j member.Job, path string) error {
	t := r.task
	tj := trainer.Job{
		Task: t.Name, Member: path, Round: j.Round, Attempt: j.Attempt, Settings: json.RawMessage(j.Settings),
		Seed: trainer.Seed(j.Seed, path, j.Round),
		Progress: func(done, total int) {
			t.done.Store(int64(done))
			t.total.Store(int64(total))
			t.nudge()
		},
	}
	if err := trainer.Refresh(ctx, t.Trainer, tj); err != nil {
		return err
	}
	r.samples, r.data = t.Trainer.Samples(), dataOf(t.Trainer)
	if j.Work == wire.WorkStatistics {
		s, err := t.Trainer.(trainer.Statistician).Statistics(ctx, tj)
		if err != nil {
			return err
		}
		r.tensors = s
		return checkStatistics(s)
	}
	global, id, err := d.Model(t.Name)
	if err != nil {
		return fmt.Errorf("%w: %w", errNoModel, err)
	}
	if id != j.Base {
		return fmt.Errorf("%w: another is stored", errNoModel)
	}
	if err := r.evaluate(ctx, tj, global); err != nil || j.Work == wire.WorkEvaluate {
		return err
	}
	seed := maphash.MakeSeed()
	given := maphash.Bytes(seed, global.Blob)
	local, err := t.Trainer.Train(ctx, tj, global)
	if err != nil {
		return err
	}
	if local == nil {
		return errors.New("the trainer returned no model")
	}
	if maphash.Bytes(seed, global.Blob) != given { // a bug, no attack: this is several times as fast as SHA-256
		return errors.New("the trainer changed the model it was given")
	}
	r.tensors, err = delta(local, global)
	return err
}

// evaluate measures the base, where the trainer can.
func (r *result) evaluate(ctx context.Context, tj trainer.Job, global *model.Model) error {
	e, ok := r.task.Trainer.(trainer.Evaluator)
	if !ok {
		return nil
	}
	m, err := e.Evaluate(ctx, tj, global)
	if err != nil {
		return fmt.Errorf("evaluation: %w", err)
	}
	r.metrics, r.scored, r.odd = trainer.Metrics{}, true, m.Problems()
	for name, v := range m {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			r.metrics[name] = v
		}
	}
	var left []string
	if r.metrics, left = wire.FitMetrics(r.metrics); len(left) > 0 {
		r.odd = append(r.odd, fmt.Sprintf("%d numbers are not sent, %.80q first: names are of [A-Za-z0-9_.:/-]{1,64}, and at most 64 of them no counts of classes", len(left), left[0]))
	}
	return nil
}

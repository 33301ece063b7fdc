package virtual

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// along is a trainer that steps along a vector.
type along []float32

func (along) Samples() int { return 10 }

func (a along) Train(_ context.Context, _ trainer.Job, global *model.Model) (*model.Model, error) {
	local := global.Clone()
	w, err := local.Float32s("w")
	if err != nil {
		return nil, err
	}
	for i := range w {
		w[i] += a[i]
	}
	return local, local.SetFloat32s("w", w)
}

// Under FLTrust a member that steps back from where the aggregator's own rows lead counts
// for nothing, whatever its length; a restart and a replay make the same models.
func TestFLTrust(t *testing.T) {
	inBubble(t, func(w *world) {
		whole, again := w.trusted(false), w.trusted(true)
		if whole.Model != again.Model || whole.Strategy.Root.IsZero() || whole.Strategy.Weights != "uniform" {
			t.Errorf("%s, with a restart %s; strategy %+v", whole.Model, again.Model, whole.Strategy)
		}
	})
}

// failing is a trainer that fails in another way in each round.
type failing struct{ along }

func (f failing) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	switch job.Round {
	case 1:
		return nil, errors.New("no rows")
	case 2:
		panic("a row too many")
	case 3:
		f.along = along{1, float32(math.NaN())}
	default:
		f.along = along{1, float32(math.Inf(-1))}
	}
	return f.along.Train(ctx, job, global)
}

// Where the aggregator's own trainer fails, or what it trains is no number any more, the
// rounds of its task move nothing and say so, no site is refused for it, and the
// aggregator, which has other tasks, goes on.
func TestFLTrustFails(t *testing.T) {
	inBubble(t, func(w *world) {
		trusting := w.task()
		trusting.Rounds, trusting.Strategy, trusting.Root = 4, "fltrust", failing{}
		w.aggregate(trusting)
		for _, m := range three {
			w.join(m, along{1, 0, 0})
		}
		w.finished(5 * time.Minute)
		w.endAll()
		trained := 0
		for _, r := range w.history() {
			if r.Trained() {
				trained++
			}
			if want := "the model stays as it is"; r.Trained() && (r.Model != r.Base || !strings.Contains(strings.Join(r.Notes, " "), want)) {
				t.Errorf("round %d: model %s of %s, notes %q; want %s", r.Round, r.Model, r.Base, r.Notes, want)
			}
		}
		if trained != 4 {
			t.Errorf("%d rounds of training, want 4", trained)
		}
	})
}

// weightsOf are those of a model on the aggregator's disk.
func (w *world) weightsOf(id model.Hash, s model.Schema) []float32 {
	w.t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, aggregatorName, "blobs", id.String()[:2], id.String()))
	check(w.t, err)
	x, err := (&model.Model{Schema: s, Blob: b}).Float32s("w")
	check(w.t, err)
	return x
}

// trusted returns the record of the last round of training.
func (w *world) trusted(restart bool) (last record.Record) {
	n := newWorld(w.t)
	task := n.task()
	task.Rounds, task.Strategy, task.KeepUpdates = 3, "fltrust", aggregator.KeepAll
	task.Init = weights(w.t, 0, 0, 0)
	task.Root = along{1, 0, 0}
	n.aggregate(task)
	for i, m := range three {
		n.join(m, []along{{2, 0, 0}, {.25, 0, 0}, {-8, 3, 0}}[i])
	}
	if restart {
		n.recorded(2, record.Committed, time.Minute)
		n.end(aggregatorName)
		n.aggregate(task)
	}
	n.finished(5 * time.Minute)
	n.endAll()
	trained := uint64(0)
	for _, r := range n.history() {
		if !r.Trained() {
			continue
		}
		trained++
		last = r
		if m := n.weightsOf(r.Model, task.Init.Schema); m[0] != float32(trained) || m[1] != 0 {
			n.t.Errorf("after %d rounds %v, want a step of 1 each", trained, m)
		}
	}
	return last
}

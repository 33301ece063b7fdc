package virtual

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
)

// headed trains a body and a head: each value grows by its step in each round.
type headed struct {
	step float32
	mu   *sync.Mutex
	seen *[]string // head that it was given, by round; trained and measured
}

func (headed) Samples() int { return 10 }

func (h headed) note(what string, round uint64, m *model.Model) {
	v, err := m.Float32s("head")
	if err != nil {
		panic(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	*h.seen = append(*h.seen, fmt.Sprintf("%s %d: %g", what, round, v[0]))
}

func (h headed) Train(_ context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	h.note("train", job.Round, global)
	local := global.Clone()
	for _, name := range []string{"body", "head"} {
		v, err := local.Float32s(name)
		if err != nil {
			return nil, err
		}
		for i := range v {
			v[i] += h.step
		}
		if err := local.SetFloat32s(name, v); err != nil {
			return nil, err
		}
	}
	return local, nil
}

func (h headed) Evaluate(_ context.Context, job trainer.Job, global *model.Model) (trainer.Evaluation, error) {
	h.note("measure", job.Round, global)
	return trainer.Evaluation{Metrics: trainer.Metrics{"n": 10, "loss": 1}}, nil
}

// A tensor that sites keep for themselves is in no update and in no version, is trained
// and measured at each site as its own, and outlives the process.
func TestKeptAtTheSite(t *testing.T) {
	for name, locals := range map[string]model.Locals{"keep_local": {Keep: []string{"he*d"}}, "share": {Share: []string{"body"}}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) { keptAtTheSite(w, locals) })
		})
	}
}

func keptAtTheSite(w *world, locals model.Locals) {
	t := w.t
	s, err := model.NewSchema(model.Spec{Name: "body", Shape: []int{2}}, model.Spec{Name: "head", Shape: []int{5}})
	check(t, err)
	first := model.New(s)
	check(t, first.SetFloat32s("head", []float32{7, 7, 7, 7, 7}))
	task := w.task()
	task.Init, task.Locals, task.KeepUpdates = first, locals, aggregator.KeepAll
	w.aggregate(task)
	sites := make([]headed, 3)
	for i, m := range three {
		sites[i] = headed{step: float32(i + 1), mu: &sync.Mutex{}, seen: &[]string{}}
		w.join(m, sites[i])
	}
	w.recorded(1, record.Committed, time.Minute)
	w.end(three[2])
	w.join(three[2], sites[2])
	w.finished(5 * time.Minute)
	w.endAll()
	for i, x := range sites {
		step := float32(i + 1)
		for round := range uint64(3) {
			if want := fmt.Sprintf("train %d: %g", round+1, 7+float32(round)*step); !slices.Contains(*x.seen, want) {
				t.Errorf("%s: %q, want %q", three[i], *x.seen, want)
			}
		}
		if want := fmt.Sprintf("measure 4: %g", 7+3*step); !slices.Contains(*x.seen, want) {
			t.Errorf("%s: %q, want %q", three[i], *x.seen, want)
		}
	}
	w.history()
	st, err := store.Open(w.dir+"/"+aggregatorName, store.Options{})
	check(t, err)
	defer func() { check(t, st.Close()) }()
	for _, r := range w.all() {
		if r.Work != strategy.Train {
			continue
		}
		blob, err := st.Blob(r.Model)
		check(t, err)
		m := &model.Model{Schema: s, Blob: blob}
		body, _ := m.Float32s("body")
		head, _ := m.Float32s("head")
		if want := float32(2 * r.Round); body[0] != want || head[0] != 7 {
			t.Errorf("round %d: body %v and head %v, want %g and 7", r.Round, body, head, want)
		}
		for _, e := range r.Entries {
			if update, err := st.Blob(e.Content); err != nil || len(update) != 8 {
				t.Errorf("round %d: an update of %d bytes: %v", r.Round, len(update), err)
			}
		}
	}
}

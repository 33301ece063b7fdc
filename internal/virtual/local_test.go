package virtual

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
)

// headed trains a body and a head: each value grows by its step in each round.
type headed struct {
	step  float32
	takes time.Duration // in training
	mu    *sync.Mutex
	seen  *[]string // head that it was given, by round; trained and measured
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
	time.Sleep(h.takes)
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
	for i, m := range three {
		node, own, err := site.Own(w.siteDir(m), taskName)
		check(t, err)
		head, err := own.Float32s("head")
		check(t, err)
		if want := 7 + 3*float32(i+1); node != namespace+"/"+m || len(own.Schema) != 1 || head[0] != want {
			t.Errorf("%s has of its own %v, head %v, want %g", node, own.Schema, head, want)
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

// A site whose directory is gone begins with the head of the first model, and says so, once;
// one that has its own says nothing, nor do those of the first round.
func TestLostWhatItKept(t *testing.T) {
	inBubble(t, func(w *world) {
		said := &sink{}
		w.log = zerolog.New(said)
		s, err := model.NewSchema(model.Spec{Name: "body", Shape: []int{2}}, model.Spec{Name: "head", Shape: []int{5}})
		check(t, err)
		task := w.task()
		task.Init, task.Locals, task.Rounds, task.Quorum = model.New(s), model.Locals{Keep: []string{"head"}}, 8, 3
		w.aggregate(task)
		for _, m := range three {
			w.join(m, headed{step: 1, takes: time.Second, mu: &sync.Mutex{}, seen: &[]string{}})
		}
		w.recorded(2, record.Committed, time.Minute)
		for _, m := range three[1:] {
			w.end(m)
		}
		const begins = "begin with the values of the first model"
		if lines := said.at("warn", begins); len(lines) > 0 {
			t.Errorf("said too early: %q", lines)
		}
		check(t, os.RemoveAll(w.siteDir(three[2])))
		for _, m := range three[1:] {
			w.join(m, headed{step: 1, takes: time.Second, mu: &sync.Mutex{}, seen: &[]string{}})
		}
		w.finished(10 * time.Minute)
		w.endAll()
		if lines := said.at("warn", begins); len(lines) != 1 || !strings.Contains(lines[0], three[2]) {
			t.Errorf("%q, want one line of %s", lines, three[2])
		}
	})
}

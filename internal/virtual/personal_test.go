package virtual

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// homebody goes to a home of its own, by a share lr of the way in each epoch, and measures how far
// a model is from where its validation rows are.
type homebody struct {
	home, rows float32
	best       uint64 // version that is the best in rounds
	takes      time.Duration
	mu         *sync.Mutex
	trained    *[]string // settings of trainings for the site itself, with the version
}

// has lists what it has trained for itself.
func (h homebody) has() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(*h.trained)
}

func (h homebody) Samples() int { return 10 }

func (h homebody) Settings() []string { return []string{"epochs", "lr"} }

type homeSettings struct {
	Epochs int     `json:"epochs"`
	LR     float32 `json:"lr"`
}

func (h homebody) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	var set homeSettings
	if err := job.Decode(&set); err != nil {
		return nil, err
	}
	takes := time.Second
	if set.Epochs > 0 {
		takes = max(h.takes, takes)
		h.mu.Lock()
		*h.trained = append(*h.trained, fmt.Sprintf("%d %s", job.Round, job.Settings))
		h.mu.Unlock()
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(takes):
	}
	local := global.Clone()
	w, err := local.Float32s("w")
	if err != nil {
		return nil, err
	}
	for range max(set.Epochs, 1) {
		for i := range w {
			w[i] += set.LR * (h.home - w[i])
		}
	}
	return local, local.SetFloat32s("w", w)
}

func (h homebody) Evaluate(_ context.Context, job trainer.Job, m *model.Model) (trainer.Evaluation, error) {
	var set homeSettings
	if err := job.Decode(&set); err != nil {
		return trainer.Evaluation{}, err
	}
	w, err := m.Float32s("w")
	if err != nil {
		return trainer.Evaluation{}, err
	}
	off := float64(w[0] - h.rows)
	if set.Epochs == 0 {
		off = float64(job.Round-1) - float64(h.best)
	}
	return trainer.Evaluation{Metrics: trainer.Metrics{trainer.SumN: 10, trainer.SumLoss: 10 * off * off}}, nil
}

// homes are three of them; the rows of the last one's validation are not like those it trains on.
func homes(best uint64) (list [3]homebody) {
	for i, at := range [][2]float32{{0, 0}, {8, 8}, {16, -9}} {
		list[i] = homebody{home: at[0], rows: at[1], best: best, mu: &sync.Mutex{}, trained: &[]string{}}
	}
	return list
}

func personalise(c *site.Config) { c.Tasks[0].Personalise = &site.Personalise{} }

// statusOf is what a site says of the released version.
func (w *world) statusOf(member string) (p site.PersonalStatus) {
	w.t.Helper()
	var s site.Status
	if err := json.Unmarshal(w.retained(memberTopic(member, "status")), &s); err != nil || s.Personal == nil {
		w.t.Fatalf("%s: status %+v, %v", member, s, err)
	}
	return *s.Personal
}

// After its end, a task's best version is trained once more at each site and for itself: with more
// epochs and a smaller step, from what was released; it is used where it is better, it outlives the
// process, and nothing of it leaves the site.
func TestPersonalModels(t *testing.T) {
	for name, c := range map[string]struct {
		size int
		rate int64
	}{"inline": {4 << 20, 0}, "in parts": {wire.MinPart, 0}, "on a thin line": {wire.MinPart, 256_000}} {
		t.Run(name, func(t *testing.T) {
			if name != "on a thin line" {
				racing.Skip(t, "on a thin line it has the goroutines, and more")
			}
			inBubble(t, func(w *world) { personalModels(w, c.size, c.rate) })
		})
	}
}

func personalModels(w *world, size int, rate int64) {
	t := w.t
	w.parts(size)
	w.tune = func(c *site.Config) {
		c.Bandwidth = rate
		personalise(c)
	}
	task := w.large()
	task.Rounds, task.KeepModels, task.Train = 4, 1, json.RawMessage(`{"lr":0.5}`)
	w.aggregate(task)
	filters := []string{own("#")}
	for _, m := range three {
		filters = append(filters, memberTopic(m, "#"))
	}
	c := w.client("listener", filters...)
	sites := homes(2)
	for i, m := range three {
		w.join(m, sites[i])
	}
	w.finished(5 * time.Minute)
	for i, m := range three {
		p := w.statusOf(m)
		if p.Version != 2 || !p.Done || p.Metric != "loss" || p.Rows != 10 || p.Note != "" || p.Used != (i < 2) || *p.Own < *p.Global != p.Used {
			t.Errorf("%s says %+v", m, p)
		}
		if got, want := sites[i].has(), []string{`2 {"epochs":5,"lr":0.25}`}; !slices.Equal(got, want) {
			t.Errorf("%s trained %q for itself, want %q", m, got, want)
		}
		w.end(m)
		f, err := site.Personal(w.siteDir(m), taskName)
		check(t, err)
		if f.Model == nil || f.Version != 2 || f.Base != w.model(2) || f.Used != p.Used || f.Own != *p.Own {
			t.Fatalf("%s has %+v", m, f)
		}
		for _, x := range c.messages() {
			if bytes.Contains(x.Payload, f.Model.Bytes("w")[:64]) {
				t.Errorf("%s sent its own model on %s", m, x.Topic)
			}
		}
		w.join(m, sites[i])
	}
	time.Sleep(2 * time.Minute)
	for i, m := range three {
		if p := w.statusOf(m); len(sites[i].has()) != 1 || p.Version != 2 || !p.Done || p.Metric != "loss" {
			t.Errorf("%s, started again, says %+v and has trained %q", m, p, sites[i].has())
		}
		w.end(m)
	}
	// Made otherwise, it is made anew.
	w.tune = func(c *site.Config) { c.Tasks[0].Personalise = &site.Personalise{Epochs: 1, LRFactor: 1} }
	w.join(three[0], sites[0])
	time.Sleep(2 * time.Minute)
	if got := sites[0].has(); len(got) != 2 || got[1] != `2 {"epochs":1,"lr":0.5}` {
		t.Errorf("with other settings trained %q", got)
	}
	w.endAll()
}

// A round goes before what a site trains for itself, which begins anew, and is of the newest
// released version in the end.
func TestPersonalModelYields(t *testing.T) {
	inBubble(t, func(w *world) {
		w.tune = personalise
		task := w.task()
		task.Rounds, task.Train = 5, json.RawMessage(`{"lr":0.5}`)
		task.Release = &aggregator.Release{Approve: aggregator.ApproveAuto}
		w.aggregate(task)
		sites := homes(5)
		for i, m := range three {
			sites[i].takes = 30 * time.Second
			w.join(m, sites[i])
		}
		began := time.Now()
		w.finished(time.Minute)
		for _, r := range w.all() {
			if r.Round > 0 && counted(r) != 3 {
				t.Errorf("round %d counts %d sites", r.Round, counted(r))
			}
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("the task took %s", took)
		}
		time.Sleep(time.Minute)
		_, version, _ := w.released()
		for i, m := range three {
			p := w.statusOf(m)
			if p.Version != version || version < 4 || !p.Done || p.Metric == "" {
				t.Errorf("%s says %+v, version %d is released", m, p, version)
			}
			if n := len(sites[i].has()); n < 2 {
				t.Errorf("%s trained %d times for itself, want versions before too", m, n)
			}
		}
		w.endAll()
	})
}

// A task that begins anew has other personal models; those of before are gone.
func TestPersonalModelAnew(t *testing.T) {
	inBubble(t, func(w *world) {
		w.tune = personalise
		task := w.task()
		task.Rounds, task.Train = 2, json.RawMessage(`{"lr":0.5}`)
		w.aggregate(task)
		sites := homes(2)
		for i, m := range three {
			w.join(m, sites[i])
		}
		w.finished(5 * time.Minute)
		w.end(aggregatorName)
		check(t, os.RemoveAll(filepath.Join(w.dir, aggregatorName)))
		w.mu.Lock()
		w.records, w.ends = nil, nil
		w.mu.Unlock()
		c := w.client("cleaner")
		for _, leaf := range []string{"order", "model", "record", "round"} {
			c.say(own(leaf), nil, true)
		}
		task.Train = json.RawMessage(`{"lr":0.25}`)
		w.aggregate(task)
		w.finished(5 * time.Minute)
		for i, m := range three {
			if got := sites[i].has(); !slices.Equal(got, []string{`2 {"epochs":5,"lr":0.25}`, `2 {"epochs":5,"lr":0.125}`}) {
				t.Errorf("%s trained %q for itself", m, got)
			}
		}
		w.endAll()
	})
}

// A site's own tensors are in the model that it trains for itself.
func TestPersonalModelOfOwnTensors(t *testing.T) {
	inBubble(t, func(w *world) {
		s, err := model.NewSchema(model.Spec{Name: "body", Shape: []int{2}}, model.Spec{Name: "head", Shape: []int{5}})
		check(t, err)
		w.tune = personalise
		task := w.task()
		task.Init, task.Locals, task.Train = model.New(s), model.Locals{Keep: []string{"head"}}, json.RawMessage(`{"lr":1}`)
		w.aggregate(task)
		sites := make([]headed, 3)
		for i, m := range three {
			sites[i] = headed{step: float32(i + 1), mu: &sync.Mutex{}, seen: &[]string{}}
			w.join(m, sites[i])
		}
		w.finished(5 * time.Minute)
		for i, m := range three {
			p := w.statusOf(m)
			if !p.Done || p.Used || p.Metric != "loss" { // as good is not better
				t.Errorf("%s says %+v", m, p)
			}
			if want := fmt.Sprintf("train %d: %g", p.Version, 3*float32(i+1)); !slices.Contains(*sites[i].seen, want) {
				t.Errorf("%s: %q, want %q", m, *sites[i].seen, want)
			}
		}
		w.endAll()
	})
}

package tabular

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// Steps with mu and a correction by the formulas: of linear regression, softmax and a
// network, with momentum, and with a limit of the norm that is the trainer's own.
func TestSteeredStepTwin(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 7))
	for _, c := range []struct {
		classes int
		hidden  []int
		set     Settings
		mu      float64
	}{
		{0, nil, Settings{LR: 0.05}, 0.7},
		{3, nil, Settings{LR: 0.1, Momentum: 0.9}, 0.3},
		{3, []int{4}, Settings{LR: 0.1, L2: 0.05, MaxGradNorm: 0.2}, 0},
		{0, []int{5, 3}, Settings{LR: 0.02, Momentum: 0.5}, 2},
	} {
		d := sample(rng, 30, 5, c.classes)
		m := built(t, rng, d, c.hidden...)
		correction := m.Clone()
		for _, spec := range m.Schema.Shared() {
			x := make([]float32, spec.Elements())
			for i := range x {
				x[i] = float32(rng.NormFloat64() / 4)
			}
			if err := correction.SetFloat32s(spec.Name, x); err != nil {
				t.Fatal(err)
			}
		}
		r := newRun(t, m, d, c.set)
		var err error
		if r.steering, err = steer(r.network, trainer.Job{Mu: c.mu, Correction: correction}); err != nil {
			t.Fatal(err)
		}
		base, want, velocity := slices.Clone(r.params), slices.Clone(r.params), make([]float64, len(r.params))
		add := newRun(t, correction, d, c.set).params
		for range 3 {
			_, g := naive(r, r.order)
			limited(r, g, want)
			for i := range want {
				velocity[i] = c.set.Momentum*velocity[i] - c.set.LR*(g[i]+c.mu*(want[i]-base[i])+add[i])
				want[i] += velocity[i]
			}
			r.gradient(&d.Train, r.order)
			r.step()
			for i := range want {
				near(t, "weight", r.params[i], want[i], 1e-12)
			}
		}
		if r.steps != 3 {
			t.Errorf("%d steps, want 3", r.steps)
		}
	}
}

// limited adds L2 to a gradient and holds it to the limit of the norm.
func limited(r *run, g, w []float64) {
	at, square := 0, 0.0
	for _, l := range r.layers {
		for range l.w {
			g[at] += r.settings.L2 * w[at]
			at++
		}
		at += l.out
	}
	for _, v := range g {
		square += v * v
	}
	if most := r.settings.MaxGradNorm; most > 0 && math.Sqrt(square) > most {
		for i := range g {
			g[i] *= most / math.Sqrt(square)
		}
	}
}

// The gradient of the vectors.
func TestProxVector(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../testdata/vectors/strategies.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Cases []struct {
			ID              string
			Params          struct{ Mu float64 }
			Input, Expected json.RawMessage
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, c := range file.Cases {
		if c.ID != "fedprox-gradient" {
			continue
		}
		found = true
		var in struct{ Base, Local, Gradient []float64 }
		var want struct{ Gradient []float64 }
		if err := errors.Join(json.Unmarshal(c.Input, &in), json.Unmarshal(c.Expected, &want)); err != nil {
			t.Fatal(err)
		}
		s := steering{mu: c.Params.Mu, base: in.Base, correction: make([]float64, len(in.Base))}
		s.add(in.Local, in.Gradient, 1)
		for i := range want.Gradient {
			near(t, c.ID, in.Gradient[i], want.Gradient[i], 1e-12)
		}
	}
	if !found {
		t.Error("no vector")
	}
}

// What a job needs to know is told: steps over epochs and batches, rates, and the loss of
// the model as it came, over all rows.
func TestScalars(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	d := sample(rng, 2*chunkRows+9, 5, 3)
	m := built(t, rng, d, 4)
	tr, err := New(d)
	if err != nil {
		t.Fatal(err)
	}
	job := trainer.Job{Settings: json.RawMessage(`{"epochs":2,"batch":100,"lr":0.05,"momentum":0.5}`), Needs: []string{trainer.NeedLoss0, trainer.NeedMomentum, trainer.NeedSteps}}
	if _, err := tr.Train(t.Context(), job, m); err != nil {
		t.Fatal(err)
	}
	got, err := job.ScalarsOf(tr)
	if err != nil {
		t.Fatal(err)
	}
	sum, _ := naive(newRun(t, m, d, Settings{}), seq(d.Train.N))
	near(t, "loss0", got["loss0"], sum/float64(d.Train.N), 1e-12)
	delete(got, "loss0")
	if len(got) != 3 || got["steps"] != 6 || got["lr"] != 0.05 || got["momentum"] != 0.5 {
		t.Errorf("%v", got)
	}
	plain := trainer.Job{Settings: job.Settings}
	if got, err := plain.ScalarsOf(tr); got != nil || err != nil {
		t.Errorf("a job that needs nothing: %v, %v", got, err)
	}
	for needs, settings := range map[string]string{trainer.NeedSGD: `{"momentum":0.9}`, trainer.NeedMomentum: `{"optimizer":"adam"}`} {
		_, err := tr.Train(t.Context(), trainer.Job{Needs: []string{needs}, Settings: json.RawMessage(settings)}, m)
		if !errors.Is(err, trainer.ErrNeeds) || !strings.Contains(err.Error(), "train") {
			t.Errorf("%s: %v", settings, err)
		}
	}
}

func seq(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// A correction of other tensors is refused.
func TestCorrectionShape(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 5))
	d := sample(rng, 9, 5, 3)
	for _, wrong := range []*model.Model{built(t, rng, d, 4), built(t, rng, sample(rng, 9, 4, 3))} {
		r := newRun(t, built(t, rng, d), d, Settings{})
		if _, err := steer(r.network, trainer.Job{Correction: wrong}); err == nil || !strings.Contains(err.Error(), "correction") {
			t.Errorf("%v", err)
		}
	}
}

// What the trainer would decline beside a strategy is known before it trains.
func TestCheckSettings(t *testing.T) {
	t.Parallel()
	sgd, heavy := []string{trainer.NeedSGD}, []string{trainer.NeedMomentum}
	for _, c := range []struct {
		settings string
		needs    []string
		want     string // "": taken
	}{
		{`{"momentum":0.9}`, nil, ""},
		{`{"momentum":0.9}`, sgd, "plain SGD, not momentum 0.9"},
		{`{"optimizer":"momentum"}`, sgd, "plain SGD, not momentum 0.9"},
		{`{"optimizer":"adam"}`, sgd, "plain SGD, not adam"},
		{`{"optimizer":"adam"}`, heavy, "SGD with or without momentum, not adam"},
		{`{"momentum":0.9}`, heavy, ""},
		{`{"lr":0.1}`, sgd, ""},
		{`{"lr":-1}`, nil, "lr: want more than 0"},
		{``, sgd, ""},
	} {
		err := CheckSettings([]byte(c.settings), c.needs)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %v: %v, want %q", c.settings, c.needs, err, c.want)
		}
	}
}

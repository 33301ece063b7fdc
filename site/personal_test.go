package site

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// rated is a trainer that says its learning rate.
type rated struct{ *fake }

func (rated) LR() float64 { return 0.25 }

// regression is a trainer that knows what it measures, or not yet.
type regression struct {
	*fake
	of []string
}

func (r regression) Measures() []string { return slices.Clone(r.of) }

// blind measures nothing.
type blind struct{ trainer.Trainer }

func TestPersonaliseCheck(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		p Personalise
		t trainer.Trainer
	}{
		"":                          {Personalise{}, &fake{}},
		"has no setting epochs":     {Personalise{}, &fake{known: []string{"lr"}}},
		"has no setting lr":         {Personalise{}, &fake{known: []string{"epochs"}}},
		"epochs: want 1 to 100000":  {Personalise{Epochs: -1}, &fake{}},
		"lr_factor: want more than": {Personalise{LRFactor: math.NaN()}, &fake{}},
		"metric: whether less or":   {Personalise{Metric: "speed"}, &fake{}},
		"measures no accuracy; want one of mae, rmse": {Personalise{Metric: "accuracy"}, regression{&fake{}, []string{"mae", "n", "rmse"}}},
		"the trainer measures no mo":                  {Personalise{}, blind{&fake{}}},
	} {
		if err := c.p.check(c.t); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c.p, err, want)
		}
	}
}

// A metric that the trainer measures is fine, and so is one where it does not know.
func TestPersonaliseMetric(t *testing.T) {
	t.Parallel()
	for _, of := range [][]string{nil, {"mae", "accuracy"}} {
		if err := (Personalise{Metric: "accuracy"}).check(regression{&fake{}, of}); err != nil {
			t.Errorf("%v: %v", of, err)
		}
	}
}

// What the task sets stays, digit by digit, but for epochs and lr.
func TestPersonaliseSettings(t *testing.T) {
	t.Parallel()
	p := Personalise{}.withDefaults()
	for _, c := range []struct {
		task, want string
		t          trainer.Trainer
	}{
		{`{"lr":0.01,"epochs":1,"seed":12345678901234567890,"opt":{"a":[1]}}`, `{"epochs":5,"lr":0.005,"opt":{"a":[1]},"seed":12345678901234567890}`, &fake{}},
		{`{}`, `{"epochs":5,"lr":0.125}`, rated{&fake{}}},
		{`{}`, "no number lr above 0", &fake{}},
		{`{"lr":0}`, "no number lr above 0", rated{&fake{}}},
		{`{"lr":"fast"}`, "no number lr above 0", rated{&fake{}}},
	} {
		got, err := p.settings(json.RawMessage(c.task), c.t)
		if text := string(got); err != nil && !strings.Contains(err.Error(), c.want) || err == nil && text != c.want {
			t.Errorf("%s: %s, %v, want %s", c.task, text, err, c.want)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	loss := func(v float64) trainer.Evaluation {
		return trainer.Evaluation{Metrics: trainer.Metrics{"n": 4, "loss": 4 * v, "correct": 4 - v, "speed": 9}}
	}
	for _, c := range []struct {
		metric      string
		own, global float64
		used        bool
		err         string
	}{
		{"loss", 1, 2, true, ""},
		{"loss", 2, 2, false, ""},
		{"loss", 3, 2, false, ""},
		{"", 1, 2, true, ""}, // accuracy, of which more is better
		{"accuracy", 2, 1, false, ""},
		{"loss", math.Inf(1), 2, false, "the own model has no loss"},
		{"loss", 1, math.NaN(), false, "the released version has no loss"},
		{"rmse", 1, 2, false, "the released version has no rmse"},
	} {
		got, err := compare(c.metric, loss(c.own), loss(c.global))
		if got.Used != c.used || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v: %+v, %v", c, got, err)
		}
	}
	if c, _ := compare("", loss(1), loss(2)); c.Metric != "accuracy" || c.Rows != 4 {
		t.Errorf("%+v", c)
	}
	mine := trainer.Evaluation{Metrics: trainer.Metrics{"n": 4, "speed": 9}}
	if _, err := compare("", mine, mine); err == nil || !strings.Contains(err.Error(), "want metric") {
		t.Errorf("%v", err)
	}
}

// release publishes a version as the released one.
func (h *hub) release(version uint64, m *model.Model) {
	topic := h.owner.Released().Model()
	h.say(topic, true, h.sealed(wire.Header{
		Kind: wire.KindReleased, Round: version, Topic: topic, Base: m.ContentID(), Schema: m.Schema.Hash(), Encoding: wire.EncodingDense,
	}, wire.Model{Version: version, Tensors: m}))
}

// A site that cannot train a released version for itself says why, once, and goes on. One that has
// heard no settings waits for them.
func TestPersonaliseCannot(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		trainer  *fake
		settings string
	}{
		"no number lr above 0": {&fake{}, `{"epochs":2}`},
		"trained model":        {&fake{err: errors.New("the trained model is lost")}, `{"lr":0.5}`},
		"no such column":       {&fake{panics: true}, `{"lr":0.5}`},
		"NaN":                  {&fake{nan: true}, `{"lr":0.5}`},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			bubble.Test(t, func(t *testing.T) {
				h := newHub(t)
				cfg := h.config(c.trainer)
				cfg.Tasks[0].Personalise = &Personalise{}
				base := weights(t, 1, 2)
				h.release(1, base)
				stop := h.life(cfg)
				h.welcome()
				if p := h.lastStatus().Personal; p == nil || p.Done || !strings.Contains(p.Note, "waits for an order of training") {
					t.Fatalf("without an order it says %+v", p)
				}
				h.model(0, base)
				h.order(1, 1, wire.WorkTrain, base, func(o *wire.Order) { o.Settings = json.RawMessage(c.settings) })
				wait(time.Second)
				h.order(2, 1, wire.WorkNone, base)
				wait(2 * time.Minute)
				p := h.lastStatus().Personal
				if p == nil || !p.Done || p.Used || p.Own != nil || !strings.Contains(p.Note, want) {
					t.Errorf("%+v, want %q", p, want)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A version of another form is no model of the task: nothing of it is asked for.
func TestPersonaliseOtherForm(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		cfg := h.config(&fake{})
		cfg.Tasks[0].Personalise = &Personalise{}
		base := weights(t, 1, 2)
		h.life(cfg)
		h.welcome()
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base)
		wait(time.Second)
		s, err := model.NewSchema(model.Spec{Name: "huge", Shape: []int{1 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		huge := model.New(s)
		blob, err := wire.NewBlob(huge.Blob, wire.DefaultPart)
		if err != nil {
			t.Fatal(err)
		}
		h.forget()
		topic := h.owner.Released().Model()
		h.say(topic, true, h.sealed(wire.Header{
			Kind: wire.KindReleased, Round: 1, Topic: topic, Base: huge.ContentID(), Schema: s.Hash(), Encoding: wire.EncodingDense,
		}, wire.Manifest{Version: 1, Schema: s, Blob: blob}))
		wait(time.Minute)
		if p := h.lastStatus().Personal; p == nil || !p.Done || !strings.Contains(p.Note, "another form") {
			t.Errorf("%+v", p)
		}
		if i := slices.IndexFunc(h.subs, func(f string) bool { return strings.Contains(f, "/released/") }); i >= 0 {
			t.Errorf("asks for %s", h.subs[i])
		}
	})
}

// An older version, played back, is not trained after a newer one; in whatever life.
func TestPersonaliseOlder(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		tr := &fake{}
		cfg := h.config(tr)
		cfg.Tasks[0].Personalise = &Personalise{Metric: "loss"}
		base, next := weights(t, 1, 2), weights(t, 5, 6)
		stop := h.life(cfg)
		h.welcome()
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base)
		wait(time.Second)
		h.order(2, 1, wire.WorkNone, base)
		h.release(3, next)
		wait(time.Minute)
		is := func(when string, trained int32) {
			t.Helper()
			p := h.lastStatus().Personal
			if p == nil || !p.Done || p.Version != 3 || p.Used || *p.Own != 5.25 || *p.Global != 5 || tr.trained.Load() != trained {
				t.Errorf("%s: %+v, trained %d times", when, p, tr.trained.Load())
			}
		}
		is("released", 2)
		h.release(2, base)
		wait(time.Minute)
		is("an older one", 2)
		if err := stop(); err != nil {
			t.Error(err)
		}
		h.life(cfg)
		wait(2 * time.Minute)
		h.release(2, base)
		wait(time.Minute)
		h.release(3, next)
		wait(time.Minute)
		is("in another life", 2)
	})
}

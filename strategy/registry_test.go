package strategy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/internal/strategytest"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

func TestUnknown(t *testing.T) {
	t.Parallel()
	base := mustModel(t, model.F32, []float64{1})
	good := round(base, fold.Grid{B: 6, W: 10})
	for want, change := range map[string]func(*strategy.Setup){
		`strategy "fedsgd", known: fedavg, `:                          func(s *strategy.Setup) { s.Strategy = "fedsgd" },
		`optimiser "lamb", known: sgd, momentum, adagrad, adam, yogi`: func(s *strategy.Setup) { s.Server = "lamb" },
		`work "rest", known: train, statistics, evaluate`:             func(s *strategy.Setup) { s.Work = "rest" },
	} {
		s := good
		change(&s)
		if _, err := (strategy.Registry{}).Begin(s, nil); !errors.Is(err, strategy.ErrUnknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := (strategy.Registry{}).Decode("q9", nil, base.Schema, nil); !errors.Is(err, strategy.ErrUnknown) {
		t.Errorf("%v, want ErrUnknown", err)
	}
	if w := strategy.WorkOf("rollback"); w.Folds() || w.Weighs || w.Keeps {
		t.Errorf("work that is not known: %+v", w)
	}
}

// What a record names means one thing.
func TestRegistryCheck(t *testing.T) {
	t.Parallel()
	linear := func(names ...string) (out []strategy.Strategy) {
		for _, n := range names {
			out = append(out, strategy.Linear{ID: n})
		}
		return out
	}
	for want, g := range map[string]strategy.Registry{
		"":                     {Strategies: linear("a", "b"), Optimisers: []strategy.Optimiser{strategytest.Half{}}, Encodings: []strategy.Encoding{eighths{}}},
		`name "a"`:             {Strategies: linear("a", "b", "a")},
		`name "fedavg"`:        {Strategies: linear("fedavg")},
		`name "":`:             {Strategies: linear("")},
		"want 1 to 64 of a-z":  {Strategies: linear(strings.Repeat("x", 65))},
		`two with the name "s`: {Optimisers: []strategy.Optimiser{strategy.Descent{Eta: 2}}},
		`two with the name "e`: {Encodings: []strategy.Encoding{eighths{}, eighths{}}},
	} {
		if err := g.Check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	g := strategy.Registry{Strategies: linear("b", "a")}
	if own := (strategy.Registry{}).Names(); own[0] != "fedavg" || !slices.Equal(g.Names(), append(own, "b", "a")) {
		t.Errorf("names %v", g.Names())
	}
}

// eighths is an encoding of one byte a value.
type eighths struct{}

func (eighths) Name() string { return "eighths" }

func (eighths) Decode(dst, src []byte, s model.Schema) error {
	if len(src) != s.Elements() {
		return errors.New("want one byte a value")
	}
	for i, b := range src {
		fold.PutValues(dst[4*i:], model.F32, []float64{float64(int8(b)) / 8}) // a sign
	}
	return nil
}

// What is folded are the values that an encoding stands for; bytes that it does
// not know are refused.
func TestEncoding(t *testing.T) {
	t.Parallel()
	base := mustModel(t, model.F32, []float64{0, 0})
	g := strategy.Registry{Encodings: []strategy.Encoding{eighths{}}}
	want := mustModel(t, model.F32, []float64{2, -0.125})
	buf := make([]byte, 100)
	got, err := g.Decode("eighths", []byte{16, 0xff}, base.Schema, buf)
	if err != nil || got.ContentID() != want.ContentID() || &got.Blob[0] != &buf[0] {
		t.Errorf("%v, %v, want %v in the buffer", got, err, want)
	}
	if _, err := g.Decode("eighths", []byte{16}, base.Schema, nil); !errors.Is(err, model.ErrSchema) || !strings.Contains(err.Error(), "eighths: want one byte") {
		t.Errorf("a byte short: %v", err)
	}
	for _, name := range []string{"", strategy.Dense} {
		if got, err := g.Decode(name, want.Blob, base.Schema, nil); err != nil || &got.Blob[0] != &want.Blob[0] {
			t.Errorf("%q: %v, %v, want the bytes as they are", name, got, err)
		}
		if _, err := g.Decode(name, want.Blob[1:], base.Schema, nil); !errors.Is(err, model.ErrSchema) {
			t.Errorf("%q, a byte short: %v", name, err)
		}
	}
}

// An encoding has one spelling, is known, and goes with the strategy.
func TestCheckEncoding(t *testing.T) {
	t.Parallel()
	g := strategy.Registry{Strategies: []strategy.Strategy{median{}}, Encodings: []strategy.Encoding{eighths{}}}
	base := mustModel(t, model.F32, []float64{0, 0})
	of := func(name string) *strategy.Aggregation {
		s := round(base, fold.Grid{B: 6, W: 10})
		s.Strategy = name
		a, err := g.Begin(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, c := range []struct{ strategy, encoding, name, want string }{
		{"fedavg", "", "", ""},
		{"fedavg", "dense", "", ""},
		{"fedavg", "topk:.02+zstd", "topk:0.02+zstd", ""},
		{"fedavg", "eighths", "eighths", ""},
		{"fedavg", "gzip", "", "unknown"},
		{"acme-median", "q8", "q8", ""},
		{"acme-median", "topk", "", "does not go with the strategy acme-median"},
	} {
		name, err := g.CheckEncoding(c.encoding, of(c.strategy))
		if name != c.name || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %s: %q, %v, want %q, %s", c.encoding, c.strategy, name, err, c.name, c.want)
		}
	}
	for _, c := range []struct {
		order, update string
		want          bool
	}{{"q8", "", true}, {"q8", "q8", true}, {"q8+zstd", "q8", true}, {"q8", "f16", false}, {"eighths", "eighths", true}, {"eighths", "q8", false}, {"q8", "q8:256", false}} {
		if g.Answers(c.order, c.update) != c.want {
			t.Errorf("%s for %s: %v", c.update, c.order, !c.want)
		}
	}
	for _, c := range []struct {
		encoding string
		want     []string
	}{{"", nil}, {"q8", nil}, {"q8+zstd", []string{"zstd"}}, {"eighths", []string{"eighths"}}} {
		if got := g.Lacks(c.encoding, []string{"q8"}); !slices.Equal(got, c.want) {
			t.Errorf("%s lacks %v, want %v", c.encoding, got, c.want)
		}
	}
	if err := (strategy.Registry{Encodings: []strategy.Encoding{named{"q8:32"}}}).Check(); err == nil || !strings.Contains(err.Error(), "fedmq has an encoding") {
		t.Errorf("an encoding that is named as one of fedmq's: %v", err)
	}
}

// named is an encoding with another name.
type named struct{ name string }

func (n named) Name() string { return n.name }

func (named) Decode(_, _ []byte, _ model.Schema) error { return nil }

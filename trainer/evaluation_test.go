package trainer_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/trainer"
)

// vectors are rows of sites, and what scikit-learn says of all of them together.
type vectors struct {
	Classification []struct {
		Name    string
		Classes int
		Sites   []struct {
			Member        string
			Actual        []int
			Probabilities [][]float64
		}
		Expected, Guess map[string]float64
		OfClass         []struct {
			Rows                  float64
			Precision, Recall, F1 float64
			AUC, AP               *float64
		} `json:"of_class"`
		Confusion     [][]int64
		MeanOfSiteAUC *float64 `json:"mean_of_site_auc"`
	}
	Regression []struct {
		Name  string
		Sites []struct {
			Member            string
			Actual, Predicted []float64
		}
		Expected, Guess map[string]float64
	}
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "testdata", "vectors", "evaluation.json"))
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil || len(v.Classification) == 0 || len(v.Regression) == 0 {
		t.Fatal("vectors", err)
	}
	return v
}

// evaluate counts rows as a classifier's site does.
func evaluate(classes int, actual []int, p [][]float64) trainer.Evaluation {
	c := trainer.NewCounts(classes, true)
	m := trainer.Metrics{trainer.SumN: float64(len(actual)), trainer.SumLogLoss: 0}
	for i, y := range actual {
		c.Add(y, slices.Index(p[i], slices.Max(p[i])), p[i])
		m[trainer.SumLogLoss] -= math.Log(p[i][y])
	}
	m[trainer.SumCorrect] = float64(c.Correct())
	return trainer.Evaluation{Metrics: m, Counts: c}
}

// What the sums of sites give is what scikit-learn finds in the rows of all of them, and
// areas under curves are as near to it as they say.
func TestPoolLikeScikitLearn(t *testing.T) {
	t.Parallel()
	for _, c := range readVectors(t).Classification {
		var sites []trainer.Evaluation
		for _, s := range c.Sites {
			sites = append(sites, evaluate(c.Classes, s.Actual, s.Probabilities))
		}
		p := trainer.Pool(sites)
		for name, want := range c.Expected {
			s := p.Scores[name]
			if off := math.Abs(s.Value - want); off > s.Error+1e-12 {
				t.Errorf("%s: %s is %v, want %v within %v", c.Name, name, s.Value, want, s.Error)
			}
			if s.Error > 0.02 {
				t.Errorf("%s: %s may be off by %v", c.Name, name, s.Error)
			}
		}
		for name, want := range c.Guess {
			near(t, c.Name+": best guess of "+name, p.Scores[name].Guess, want)
		}
		for _, k := range p.Classes {
			want := c.OfClass[k.Class]
			near(t, "precision", k.Precision(), want.Precision)
			near(t, "recall", k.Recall(), want.Recall)
			near(t, "f1", k.F1(), want.F1)
			if k.Rows != want.Rows {
				t.Errorf("%s: class %d has %v rows, want %v", c.Name, k.Class, k.Rows, want.Rows)
			}
			if want.AUC == nil {
				if !math.IsNaN(k.AUC) || !math.IsNaN(k.AP) {
					t.Errorf("%s: class %d never occurs and has an area", c.Name, k.Class)
				}
				continue
			}
			if math.Abs(k.AUC-*want.AUC) > k.AUCError+1e-12 || math.Abs(k.AP-*want.AP) > k.APError+1e-12 {
				t.Errorf("%s: class %d: AUC %v ± %v, AP %v ± %v; want %v, %v", c.Name, k.Class, k.AUC, k.AUCError, k.AP, k.APError, *want.AUC, *want.AP)
			}
		}
		if diff := cmp.Diff(c.Confusion, p.Confusion); diff != "" {
			t.Errorf("%s: confusion - want, + got\n%s", c.Name, diff)
		}
		if c.MeanOfSiteAUC != nil { // the mean of the sites' areas is another number, and not ours
			if s := p.Scores[trainer.ScoreROCAUC]; math.Abs(*c.MeanOfSiteAUC-s.Value) < 0.1 {
				t.Errorf("%s: roc_auc %v is the mean of the sites' %v", c.Name, s.Value, *c.MeanOfSiteAUC)
			}
		}
	}
}

func TestPoolRegressionLikeScikitLearn(t *testing.T) {
	t.Parallel()
	for _, c := range readVectors(t).Regression {
		var sites []trainer.Evaluation
		for _, s := range c.Sites {
			m := trainer.Metrics{}
			for i, y := range s.Actual {
				e := s.Predicted[i] - y
				m[trainer.SumN]++
				m[trainer.SumSE] += e * e
				m[trainer.SumAE] += math.Abs(e)
				m[trainer.SumE] += e
				d := y - m[trainer.MeanY]
				m[trainer.MeanY] += d / m[trainer.SumN]
				m[trainer.M2Y] += d * (y - m[trainer.MeanY])
			}
			sites = append(sites, trainer.Evaluation{Metrics: m})
		}
		p := trainer.Pool(sites)
		for name, want := range c.Expected {
			if got := p.Scores[name].Value; math.Abs(got-want) > 1e-8*math.Abs(want) {
				t.Errorf("%s: %s is %v, want %v", c.Name, name, got, want)
			}
		}
		for name, want := range c.Guess {
			if got := p.Scores[name].Guess; math.Abs(got-want) > 1e-8*math.Abs(want) {
				t.Errorf("%s: the best guess of %s is %v, want %v", c.Name, name, got, want)
			}
		}
		if g := p.Scores[trainer.ScoreMAE].Guess; !math.IsNaN(g) {
			t.Errorf("%s: the best guess of the mae is %v; the sums do not tell", c.Name, g)
		}
	}
}

// Sites of an older version name their cells; the same follows, but for what takes
// probabilities.
func TestPoolNamedCells(t *testing.T) {
	t.Parallel()
	c := readVectors(t).Classification[1]
	var sites, named []trainer.Evaluation
	for _, s := range c.Sites {
		e := evaluate(c.Classes, s.Actual, s.Probabilities)
		sites = append(sites, e)
		m := trainer.Metrics{trainer.SumN: e.Metrics[trainer.SumN], trainer.SumCorrect: e.Metrics[trainer.SumCorrect]}
		for i := range c.Classes {
			for j := range c.Classes {
				m[trainer.Cell(i, j)] = float64(e.Counts.Confusion[i*c.Classes+j])
			}
		}
		named = append(named, trainer.Evaluation{Metrics: m})
	}
	want, got := trainer.Pool(sites), trainer.Pool(named)
	for _, name := range []string{"n", "accuracy", "macro_f1", "balanced_accuracy"} {
		near(t, name, got.Scores[name].Value, want.Scores[name].Value)
		if w := want.Scores[name].Guess; !math.IsNaN(w) {
			near(t, "guess of "+name, got.Scores[name].Guess, w)
		}
	}
	if !cmp.Equal(got.Confusion, want.Confusion) {
		t.Errorf("confusion %v, want %v", got.Confusion, want.Confusion)
	}
	if _, ok := got.Scores[trainer.ScoreROCAUC]; ok {
		t.Error("an area under no curve")
	}
	mixed := trainer.Pool([]trainer.Evaluation{sites[0], named[1], sites[2]})
	near(t, "macro_f1", mixed.Scores["macro_f1"].Value, want.Scores["macro_f1"].Value)
	if s := mixed.Scores[trainer.ScoreROCAUC]; s.Rows != 110 || !math.IsNaN(s.Guess) {
		t.Errorf("roc_auc %+v, want one over 110 rows", s)
	}
}

// The edges are exact, ascend, and each is in the bin that it begins.
func TestBins(t *testing.T) {
	t.Parallel()
	for b := range trainer.ScoreBins {
		e := trainer.Edge(b)
		if b > 0 && e <= trainer.Edge(b-1) || trainer.Bin(e) != b || b > 0 && trainer.Bin(math.Nextafter(e, 0)) != b-1 {
			t.Errorf("bin %d begins at %v, which is in bin %d", b, e, trainer.Bin(e))
		}
		if b > 0 && e+trainer.Edge(trainer.ScoreBins-b) != 1 {
			t.Errorf("edge %d is no mirror image", b)
		}
	}
	for p, want := range map[float64]int{0: 0, 1: 255, 0.5: 128, 0.25: 96, 1.0 / 32: 40, 1e-9: 0, -1: 0, 2: 255} {
		if got := trainer.Bin(p); got != want {
			t.Errorf("%v is in bin %d, want %d", p, got, want)
		}
	}
	if trainer.Bin(math.NaN()) != 0 {
		t.Error("NaN")
	}
}

// A number of a trainer's own is the mean over all rows; of many names those that most
// sites report are kept, and the others are said.
func TestPoolOwn(t *testing.T) {
	t.Parallel()
	p := trainer.Pool([]trainer.Evaluation{
		{Metrics: trainer.Metrics{"n": 10, "pinball": 2, "drift/press": -1}},
		{Metrics: trainer.Metrics{"n": 30, "pinball": 6}},
	})
	if got := p.Scores["pinball"]; got.Value != 5 || got.Rows != 40 || !math.IsNaN(got.Guess) {
		t.Errorf("pinball %+v", got)
	}
	if got := p.Scores["drift/press"]; got.Value != -1 || got.Rows != 10 {
		t.Errorf("drift/press %+v", got)
	}
	many := trainer.Metrics{"n": 1, "zz": 1}
	for i := range 40 {
		many["x"+string(rune('A'+i))] = 1
	}
	p = trainer.Pool([]trainer.Evaluation{{Metrics: many}, {Metrics: trainer.Metrics{"n": 1, "zz": 3}}})
	if _, ok := p.Scores["zz"]; !ok || len(p.Left) != 41-trainer.MaxOwn || len(p.Scores) != trainer.MaxOwn+1 {
		t.Errorf("%d scores, left %v", len(p.Scores), p.Left)
	}
}

// Counts that cannot be of the rows are not taken, and said.
func TestCountsProblems(t *testing.T) {
	t.Parallel()
	good := func() trainer.Evaluation {
		return evaluate(2, []int{0, 0, 1}, [][]float64{{0.9, 0.1}, {0.2, 0.8}, {0.3, 0.7}})
	}
	if got := good().Problems(); got != nil {
		t.Error(got)
	}
	for want, spoil := range map[string]func(e trainer.Evaluation){
		"the confusion counts 3 rows, n says 4":             func(e trainer.Evaluation) { e.Metrics["n"] = 4 },
		"confusion: -1 rows of class 0 taken for 1":         func(e trainer.Evaluation) { e.Counts.Confusion[1] = -1 },
		"the scores of class 1 count 3 rows, the confusion": func(e trainer.Evaluation) { e.Counts.Scores[2*256]++ },
		"confusion has 3 numbers, want 4":                   func(e trainer.Evaluation) { e.Counts.Confusion = e.Counts.Confusion[:3] },
		"scores have 100 numbers, want 1024":                func(e trainer.Evaluation) { e.Counts.Scores = e.Counts.Scores[:100] },
		"counts of 81 classes":                              func(e trainer.Evaluation) { e.Counts.Classes = 81 },
		"confusion: 1099511627777 rows":                     func(e trainer.Evaluation) { e.Counts.Confusion[0] = 1<<40 + 1 },
	} {
		e := good()
		spoil(e)
		got := e.Problems()
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q, want %q", got, want)
		}
		if s := trainer.Pool([]trainer.Evaluation{e}); s.Scores[trainer.ScoreROCAUC] != (trainer.Score{}) || s.Confusion != nil {
			t.Errorf("%s: counted all the same", want)
		}
	}
}

// A threshold is chosen on the pooled curve, and what it says of itself is so.
func TestThreshold(t *testing.T) {
	t.Parallel()
	c := readVectors(t).Classification[0]
	var sites []trainer.Evaluation
	for _, s := range c.Sites {
		sites = append(sites, evaluate(c.Classes, s.Actual, s.Probabilities))
	}
	p := trainer.Pool(sites)
	at := func(v float64) (precision, recall, f1 float64) {
		k := trainer.Class{}
		for _, s := range c.Sites {
			for i, y := range s.Actual {
				if y == 1 {
					k.Rows++
				}
				if s.Probabilities[i][1] >= v {
					k.Predicted++
					if y == 1 {
						k.Correct++
					}
				}
			}
		}
		return k.Precision(), k.Recall(), k.F1()
	}
	for _, rule := range []trainer.Rule{"f1", "recall>=.9", "recall >= 0.5", "recall>=1"} {
		got, err := p.Threshold(rule)
		if err != nil {
			t.Fatal(err)
		}
		precision, recall, f1 := at(got.Value)
		if got.Class != 1 || got.Precision != precision || got.Recall != recall || got.F1 != f1 {
			t.Errorf("%s: %+v, want %v %v %v", rule, got, precision, recall, f1)
		}
		// Whoever takes rows by the threshold has the scores that the threshold says.
		var taken []trainer.Evaluation
		for _, s := range c.Sites {
			e := trainer.NewCounts(2, false)
			for i, y := range s.Actual {
				e.Add(y, map[bool]int{true: 1}[s.Probabilities[i][1] >= got.Value], nil)
			}
			taken = append(taken, trainer.Evaluation{Metrics: trainer.Metrics{trainer.SumN: float64(e.Rows()), trainer.SumCorrect: float64(e.Correct())}, Counts: e})
		}
		want := trainer.Pool(taken).Scores
		for _, name := range []string{trainer.ScoreAccuracy, trainer.ScoreMacroF1, trainer.ScoreBalanced} {
			if math.Abs(got.Scores[name]-want[name].Value) > 1e-12 {
				t.Errorf("%s: %s is %v with the threshold, want %v", rule, name, got.Scores[name], want[name].Value)
			}
		}
		if len(got.Scores) != 3 || got.Sites != len(c.Sites) {
			t.Errorf("%s: %v of %d sites", rule, got.Scores, got.Sites)
		}
		for b := range trainer.ScoreBins {
			_, r, f := at(trainer.Edge(b))
			if rule == "f1" && f > got.F1 {
				t.Errorf("%s: %v at %v is better than %v", rule, f, trainer.Edge(b), got)
			}
			if rule == "recall>=.9" && trainer.Edge(b) > got.Value && r >= 0.9 {
				t.Errorf("%s: %v finds %v, and is above %v", rule, trainer.Edge(b), r, got.Value)
			}
		}
	}
	for _, rule := range []trainer.Rule{"", "f2", "recall>=0", "recall>=1.1", "recall", "recall>=x"} {
		if _, err := p.Threshold(rule); err == nil {
			t.Errorf("%q is a rule", rule)
		}
	}
	if _, err := trainer.Pool(nil).Threshold("f1"); err == nil {
		t.Error("a threshold without rows")
	}
}

// ten are ten classes of ten rows each, but for the last.
func ten(last float64) trainer.Metrics {
	m := trainer.Metrics{"n": 90 + last, "correct": 90 + last, trainer.Cell(9, 9): last}
	for i := range 9 {
		m[trainer.Cell(i, i)] = 10
	}
	return m
}

// The metric that is shown first.
func TestShown(t *testing.T) {
	t.Parallel()
	rare := trainer.Metrics{"n": 100, "correct": 98, "confusion.0.0": 98, "confusion.1.0": 2}
	even := trainer.Metrics{"n": 10, "correct": 9, "confusion.0.0": 5, "confusion.1.1": 4, "confusion.1.0": 1}
	for _, c := range []struct {
		m          trainer.Metrics
		want       string
		shown, why string
		classes    []string
	}{
		{rare, "", "macro_f1", "macro_f1 is shown first: \"i.O.\" has 2 % of the rows, and naming the largest class always is right in 98.0 % (metric: names another)", []string{"ok", "i.O."}},
		{rare, "", "macro_f1", "macro_f1 is shown first: class 1 has 2 % of the rows, and naming the largest class always is right in 98.0 % (metric: names another)", nil},
		{rare, "accuracy", "accuracy", "", nil},
		{even, "", "accuracy", "", nil},
		{ten(7), "", "accuracy", "", nil}, // more than half of an even share
		{ten(4), "", "macro_f1", "macro_f1 is shown first: class 9 has 4.3 % of the rows, and naming the largest class always is right in 10.6 % (metric: names another)", nil},
		{even, "pinball", "accuracy", "metric: pinball is reported by no site", nil},
		{trainer.Metrics{"n": 2, "se": 3, "loss": 4}, "", "rmse", "", nil},
		{trainer.Metrics{"n": 2, "loss": 4, "pinball": 2}, "pinball", "pinball", "", nil},
		{trainer.Metrics{"n": 2}, "", "", "", nil},
	} {
		shown, why := trainer.Pool([]trainer.Evaluation{{Metrics: c.m}}).Shown(c.want, c.classes)
		if shown != c.shown || why != c.why {
			t.Errorf("%v: %s, %q; want %s, %q", c.m, shown, why, c.shown, c.why)
		}
	}
}

// Which of two values is better.
func TestBetter(t *testing.T) {
	t.Parallel()
	for name, better := range map[string][2]float64{"rmse": {1, 2}, "accuracy": {2, 1}, "bias": {-1, 2}, "log_loss": {1, 2}, "own": {2, 1}} {
		f, known := trainer.Better(name)
		if !f(better[0], better[1]) || f(better[1], better[0]) || f(1, 1) || known == (name == "own") {
			t.Errorf("%s: known %v", name, known)
		}
	}
}

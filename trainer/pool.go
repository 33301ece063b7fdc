package trainer

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/fold"
)

// MaxOwn is how many numbers of the trainers' own a task has; of more, those that most
// sites report are kept.
const MaxOwn = 32

// Score is one value over the rows of all sites that report what it takes.
type Score struct {
	Value float64 // NaN: these rows have none, such as r2 where the target is constant
	Rows  float64
	Guess float64 // the same of the best constant guess over these rows; NaN: not known
	Error float64 // the most that Value may be off, as histograms have bins; else 0
}

// Pooled is what follows from the evaluations of several sites.
type Pooled struct {
	Scores    map[string]Score
	Classes   []Class   // of a classification, those that occur or were predicted, in order
	Confusion [][]int64 // rows of class i taken for class j; nil where not all sites tell
	Left      []string  // numbers of the trainers' own beyond MaxOwn, sorted
	curve     *curves   // of the histograms; nil without
}

// Pool returns what follows from the numbers of several sites: "n", "loss" and
// "log_loss" (means), "rmse", "mae", "bias" (mean of predicted less actual), "r2" (1 − SSE
// / sum of squared deviations of the target from the pooled mean), "accuracy", "macro_f1"
// (the mean of F1 = 2TP/(2TP+FP+FN)) and "balanced_accuracy" (the mean recall), both over
// the classes that occur among the rows, "roc_auc" and "average_precision" (one class
// against the rest, the mean over these classes; see [Counts]), and the trainers' own
// numbers, means over rows. Each is over the rows of the sites that report what it
// takes: a site that does not counts in none of it. Sites without rows are passed over,
// and so is what [Evaluation.Problems] names.
//
// Counts are added as integers, all else in the order given (rules F-13 and F-14 of
// docs/spec/fold.md): give the members in path order for the same bits everywhere.
func Pool(sites []Evaluation) Pooled {
	p := NewPooler()
	for _, e := range sites {
		p.Add(e)
	}
	return p.Pooled()
}

// Pooler is [Pool] for one evaluation after the other.
type Pooler struct {
	sums    map[string]*sum
	own     map[string]*sum
	target  fold.Moments
	classes classes
}

// sum is over sites, and of how many rows and sites it is.
type sum struct {
	of, rows float64
	sites    int
}

// NewPooler returns a pooler that has seen no site.
func NewPooler() *Pooler {
	return &Pooler{
		sums: map[string]*sum{}, own: map[string]*sum{},
		target:  fold.Moments{N: []float64{0}, Mean: []float64{0}, M2: []float64{0}},
		classes: newClasses(),
	}
}

// Add takes one site's evaluation in; nothing of it is kept.
func (p *Pooler) Add(e Evaluation) {
	m := e.Metrics.usable()
	n := m[SumN]
	if n <= 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		switch {
		case own(name):
			add(p.own, name, n, n*m[name])
		case slices.Contains(sums, name):
			add(p.sums, name, n, m[name])
		}
	}
	if se, mean, m2, ok := m.regression(); ok {
		add(p.sums, ScoreR2, n, se)
		p.target.Merge(fold.Moments{N: []float64{n}, Mean: []float64{mean}, M2: []float64{m2}})
	}
	if c := e.Counted(); c != nil {
		p.classes.add(c)
	} else {
		p.classes.addNamed(m, n)
	}
}

func add(sums map[string]*sum, name string, rows, v float64) {
	s := sums[name]
	if s == nil {
		s = new(sum)
		sums[name] = s
	}
	s.of += v
	s.rows += rows
	s.sites++
}

// ratios are the scores that are a sum divided by the rows it is of.
var ratios = []struct {
	score, sum string
	of         func(float64) float64
}{
	{ScoreLoss, SumLoss, nil},
	{ScoreLogLoss, SumLogLoss, nil},
	{ScoreMAE, SumAE, nil},
	{ScoreBias, SumE, nil},
	{ScoreRMSE, SumSE, math.Sqrt},
	{ScoreAccuracy, SumCorrect, nil},
}

// Pooled is what follows from the evaluations so far.
func (p *Pooler) Pooled() Pooled {
	out := Pooled{Scores: map[string]Score{}}
	put := func(name string, v, rows float64) {
		out.Scores[name] = Score{Value: v, Rows: rows, Guess: math.NaN()}
	}
	if s := p.sums[SumN]; s != nil {
		put(SumN, s.rows, s.rows)
	}
	for _, r := range ratios {
		if s := p.sums[r.sum]; s != nil {
			v := s.of / s.rows
			if r.of != nil {
				v = r.of(v)
			}
			put(r.score, v, s.rows)
		}
	}
	if s := p.sums[ScoreR2]; s != nil {
		v := math.NaN()
		if !p.target.Constant(0) {
			v = 1 - s.of/p.target.M2[0]
		}
		put(ScoreR2, v, s.rows)
	}
	var kept []string
	kept, out.Left = p.kept()
	for _, name := range kept {
		s := p.own[name]
		put(name, s.of/s.rows, s.rows)
	}
	p.classes.scores(&out)
	p.guess(out.Scores)
	return out
}

// kept are the trainers' own numbers of a task, and those that are too many: the first
// are those that most sites report.
func (p *Pooler) kept() (kept, left []string) {
	names := slices.SortedFunc(maps.Keys(p.own), func(a, b string) int {
		return cmp.Or(cmp.Compare(p.own[b].sites, p.own[a].sites), cmp.Compare(a, b))
	})
	n := min(len(names), MaxOwn)
	kept, left = names[:n], names[n:]
	slices.Sort(left)
	return kept, left
}

// guess puts the value of the best constant guess beside the scores: the class that most
// rows have, with all shares for log_loss; the mean of the target. It is known only where
// the rows of the score are those of the classes, or of the target.
func (p *Pooler) guess(scores map[string]Score) {
	set := func(name string, rows, v float64) {
		if s, ok := scores[name]; ok && s.Rows == rows {
			s.Guess = v
			scores[name] = s
		}
	}
	if n := p.target.N[0]; n > 0 {
		sd := math.Sqrt(p.target.M2[0] / n)
		set(ScoreRMSE, n, sd)
		set(ScoreBias, n, 0)
		if !math.IsNaN(scores[ScoreR2].Value) {
			set(ScoreR2, n, 0)
		}
	}
	p.classes.guess(set)
}

// regression returns what r2 takes, if all of it is there.
func (m Metrics) regression() (se, mean, m2 float64, ok bool) {
	se, a := m[SumSE]
	mean, b := m[MeanY]
	m2, c := m[M2Y]
	return se, mean, m2, a && b && c
}

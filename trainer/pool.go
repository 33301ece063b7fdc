package trainer

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/internal/fold"
)

// Score is one value over the rows of all sites that report what it takes.
type Score struct {
	Value float64 // NaN: these rows have none, such as r2 where the target is constant
	Rows  float64
}

// ratios are the scores that are a sum divided by the rows it is of.
var ratios = []struct {
	score, sum string
	of         func(float64) float64
}{
	{"loss", SumLoss, nil},
	{"mae", SumAE, nil},
	{"rmse", SumSE, math.Sqrt},
	{"accuracy", SumCorrect, nil},
}

// Pool returns what follows from the numbers of several sites: "n", "loss"
// (mean), "rmse", "mae", "r2" (1 − SSE / sum of squared deviations of the
// target from the pooled mean), "accuracy" and "macro_f1" (the mean of F1 =
// 2TP/(2TP+FP+FN) over the classes that occur among the rows). Each is over
// the rows of the sites that report it: a site that does not counts in none of
// it. Sites without rows are passed over, and so are numbers that [Metrics.Problems]
// names.
//
// Everything is added in the order given (rules F-13 and F-14 of
// docs/spec/fold.md): give the members in path order for the same bits
// everywhere.
func Pool(sites []Metrics) map[string]Score {
	sums := map[string]*sum{}
	target := fold.Moments{N: []float64{0}, Mean: []float64{0}, M2: []float64{0}}
	for _, m := range sites {
		m = m.usable()
		n := m[SumN]
		if n <= 0 {
			continue
		}
		add(sums, SumN, n, n)
		for _, r := range ratios {
			if v, ok := m[r.sum]; ok {
				add(sums, r.score, n, v)
			}
		}
		if se, mean, m2, ok := m.regression(); ok {
			add(sums, "r2", n, se)
			target.Merge(fold.Moments{N: []float64{n}, Mean: []float64{mean}, M2: []float64{m2}})
		}
		m.addClasses(sums, n)
	}
	out := map[string]Score{}
	if s := sums[SumN]; s != nil {
		out[SumN] = Score{s.rows, s.rows}
	}
	for _, r := range ratios {
		if s := sums[r.score]; s != nil {
			v := s.of / s.rows
			if r.of != nil {
				v = r.of(v)
			}
			out[r.score] = Score{v, s.rows}
		}
	}
	if s := sums["r2"]; s != nil {
		v := math.NaN()
		if !target.Constant(0) {
			v = 1 - s.of/target.M2[0]
		}
		out["r2"] = Score{v, s.rows}
	}
	if s := sums[f1]; s != nil {
		out[f1] = Score{macroF1(sums), s.rows}
	}
	return out
}

// Scores returns what follows from the numbers of one site: those of [Pool]
// that are numbers.
func (m Metrics) Scores() map[string]float64 {
	out := map[string]float64{}
	for name, s := range Pool([]Metrics{m}) {
		if !math.IsNaN(s.Value) {
			out[name] = s.Value
		}
	}
	return out
}

// sum is over sites, and of how many rows it is.
type sum struct{ of, rows float64 }

func add(sums map[string]*sum, name string, rows, v float64) {
	s := sums[name]
	if s == nil {
		s = new(sum)
		sums[name] = s
	}
	s.of += v
	s.rows += rows
}

// regression returns what r2 takes, if all of it is there.
func (m Metrics) regression() (se, mean, m2 float64, ok bool) {
	se, a := m[SumSE]
	mean, b := m[MeanY]
	m2, c := m[M2Y]
	return se, mean, m2, a && b && c
}

// Names of macro F1, and of what it is made of: true positives, and rows of and
// for a class.
const (
	f1        = "macro_f1"
	truly     = "true "
	actual    = "actual "
	predicted = "predicted "
)

// addClasses adds the confusion of one site. Margins are those it reports,
// else those of its cells: sites may differ in that.
func (m Metrics) addClasses(sums map[string]*sum, n float64) {
	type margin struct {
		kind  string
		class int
	}
	cells, margins, hits := map[margin]float64{}, map[margin]float64{}, map[margin]float64{}
	for name, v := range m {
		switch kind, i, j, ok := class(name); {
		case !ok:
		case kind == "confusion":
			cells[margin{actual, i}] += v
			cells[margin{predicted, j}] += v
			if i == j {
				hits[margin{truly, i}] += v
			}
		default:
			margins[margin{kind + " ", i}] += v
		}
	}
	if len(margins) == 0 {
		margins = cells
	}
	if len(margins) == 0 {
		return
	}
	add(sums, f1, n, 0)
	for _, part := range []map[margin]float64{margins, hits} {
		for k, v := range part {
			add(sums, k.kind+strconv.Itoa(k.class), n, v)
		}
	}
}

// macroF1 is over the classes that occur among the rows.
func macroF1(sums map[string]*sum) float64 {
	total, classes := 0.0, 0.0
	value := func(name string) float64 {
		if s := sums[name]; s != nil {
			return s.of
		}
		return 0
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		number, ok := strings.CutPrefix(name, actual)
		if !ok {
			continue
		}
		if n := value(name); n > 0 {
			// 2TP+FP+FN is the number of rows of the class plus those taken for it.
			total += 2 * value(truly+number) / (n + value(predicted+number))
			classes++
		}
	}
	return total / classes
}

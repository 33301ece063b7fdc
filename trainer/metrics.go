package trainer

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxMetrics is how many numbers one update may carry.
const MaxMetrics = 256

// Names of the sums a site reports. Everything is a sum over rows, so that
// sites can be pooled by adding: an average of averages would give every site
// the same voice whatever its size.
const (
	SumN       = "n"       // rows
	SumLoss    = "loss"    // loss, as the trainer minimises it, without penalties
	SumSE      = "se"      // squared error, in the target's unit squared
	SumAE      = "ae"      // absolute error, in the target's unit
	SumY       = "y"       // target
	SumYY      = "yy"      // squared target
	SumCorrect = "correct" // rows whose class was found
)

// Metrics maps names to sums over the rows of one site: those above, and for
// classifiers the cells of the confusion matrix (see Cell) or, with too many
// classes for that, its diagonal and margins (see Actual, Predicted). Cells
// that are 0 may be left out.
type Metrics map[string]float64

// Cell names the number of rows of class i that were taken for class j.
func Cell(i, j int) string { return "confusion." + strconv.Itoa(i) + "." + strconv.Itoa(j) }

// Actual names the number of rows of class i.
func Actual(i int) string { return "actual." + strconv.Itoa(i) }

// Predicted names the number of rows taken for class i.
func Predicted(i int) string { return "predicted." + strconv.Itoa(i) }

// AddConfusion adds a square confusion matrix, cells[i][j] counting rows of
// class i taken for class j: cell by cell while that fits beside the other
// sums, else as diagonal and margins.
func (m Metrics) AddConfusion(cells [][]float64) {
	full := len(cells)*len(cells)+8 <= MaxMetrics
	for i, row := range cells {
		for j, v := range row {
			if v == 0 {
				continue
			}
			m[SumN] += v
			if i == j {
				m[SumCorrect] += v
			}
			if full || i == j {
				m[Cell(i, j)] += v
			}
			if !full {
				m[Actual(i)] += v
				m[Predicted(j)] += v
			}
		}
	}
	if _, ok := m[SumCorrect]; !ok {
		m[SumCorrect] = 0
	}
}

// Pool adds the sums of several sites, in the order given, and returns what
// follows from them, as far as the sums are there: "n", "loss" (mean), "rmse",
// "mae", "r2" (1 − SSE / sum of squared deviations of the target from the
// pooled mean), "accuracy" and "macro_f1" (the mean of F1 = 2TP/(2TP+FP+FN)
// over the classes that occur among the rows). Sites without rows are passed
// over; a value that is not a finite number is left out. Give the members in
// path order for the same bits everywhere. Pool of one site is that site's
// own score.
func Pool(sites []Metrics) map[string]float64 {
	sum := Metrics{}
	for _, m := range sites {
		if m[SumN] > 0 {
			for k, v := range m {
				sum[k] += v
			}
		}
	}
	out := map[string]float64{}
	n := sum[SumN]
	if n <= 0 {
		return out
	}
	put := func(name string, v float64) {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			out[name] = v
		}
	}
	ratio := func(name, key string) {
		if v, ok := sum[key]; ok {
			put(name, v/n)
		}
	}
	put("n", n)
	ratio("loss", SumLoss)
	ratio("mae", SumAE)
	ratio("accuracy", SumCorrect)
	if se, ok := sum[SumSE]; ok {
		put("rmse", math.Sqrt(se/n))
		if yy, ok := sum[SumYY]; ok {
			if dev := yy - float64(sum[SumY]*sum[SumY])/n; dev > 0 {
				put("r2", 1-se/dev)
			}
		}
	}
	if f1, ok := sum.macroF1(); ok {
		put("macro_f1", f1)
	}
	return out
}

// macroF1 reads the confusion sums; classes that do not occur among the rows
// do not count. Margins are those reported, else those of the cells.
func (m Metrics) macroF1() (float64, bool) {
	tp := map[int]float64{}
	var actual, predicted [2]map[int]float64 // from cells, as reported
	for i := range actual {
		actual[i], predicted[i] = map[int]float64{}, map[int]float64{}
	}
	for name, v := range m {
		switch kind, i, j, ok := class(name); {
		case !ok:
		case kind == "actual":
			actual[1][i] += v
		case kind == "predicted":
			predicted[1][i] += v
		default:
			actual[0][i] += v
			predicted[0][j] += v
			if i == j {
				tp[i] += v
			}
		}
	}
	from := min(len(actual[1]), 1)
	var sum float64
	var classes int
	for _, k := range slices.Sorted(maps.Keys(actual[from])) {
		if n := actual[from][k]; n > 0 {
			// 2TP+FP+FN is the number of rows of k plus those taken for k.
			sum += 2 * tp[k] / (n + predicted[from][k])
			classes++
		}
	}
	return sum / float64(classes), classes > 0
}

// class takes the names of Cell, Actual and Predicted apart.
func class(name string) (kind string, i, j int, ok bool) {
	kind, rest, _ := strings.Cut(name, ".")
	a, b, two := strings.Cut(rest, ".")
	i, err := strconv.Atoi(a)
	if err != nil || i < 0 {
		return kind, 0, 0, false
	}
	switch kind {
	case "actual", "predicted":
		return kind, i, 0, !two
	case "confusion":
		j, err = strconv.Atoi(b)
		return kind, i, j, err == nil && j >= 0
	}
	return kind, 0, 0, false
}

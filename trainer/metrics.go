package trainer

import (
	"strconv"
	"strings"
)

// MaxMetrics is how many numbers one update may carry.
const MaxMetrics = 256

// Names of what a site reports. All but the target's moments are sums over
// rows, so that sites can be pooled by adding: an average of averages would give
// every site the same voice whatever its size. The target's variance is no sum
// of squares, which would lose it beside a large mean.
const (
	SumN       = "n"       // rows
	SumLoss    = "loss"    // loss, as the trainer minimises it, without penalties
	SumSE      = "se"      // squared error, in the target's unit squared
	SumAE      = "ae"      // absolute error, in the target's unit
	SumCorrect = "correct" // rows whose class was found
	MeanY      = "y_mean"  // mean of the target
	M2Y        = "y_m2"    // sum of squared deviations of the target from that mean
)

// Metrics maps names to numbers about the rows of one site: those above, and for
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

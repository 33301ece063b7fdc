package trainer

import (
	"maps"
	"slices"
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
	SumN       = "n"        // rows
	SumLoss    = "loss"     // loss, as the trainer minimises it, without penalties
	SumLogLoss = "log_loss" // -ln of the probability given to the row's class
	SumSE      = "se"       // squared error, in the target's unit squared
	SumAE      = "ae"       // absolute error, in the target's unit
	SumE       = "e"        // error, predicted less actual, in the target's unit
	SumCorrect = "correct"  // rows whose class was found
	MeanY      = "y_mean"   // mean of the target
	M2Y        = "y_m2"     // sum of squared deviations of the target from that mean
)

// sums are the names above, in the order in which they are told to people.
var sums = []string{SumN, SumLoss, SumLogLoss, SumCorrect, SumSE, SumAE, SumE, MeanY, M2Y}

// signed are those that may be below 0.
var signed = []string{SumLoss, SumE, MeanY}

// Metrics maps names to numbers about the rows of one site: those above, and of a
// classifier that has no [Counts] the cells of its confusion matrix (see Cell) or, with
// too many classes for that, its diagonal and margins (see Actual, Predicted). Cells
// that are 0 may be left out. Any other name is the trainer's own: a mean over the rows
// of the site, which becomes the mean over all rows.
type Metrics map[string]float64

// Cell names the number of rows of class i that were taken for class j.
func Cell(i, j int) string { return "confusion." + strconv.Itoa(i) + "." + strconv.Itoa(j) }

// Actual names the number of rows of class i.
func Actual(i int) string { return "actual." + strconv.Itoa(i) }

// Predicted names the number of rows taken for class i.
func Predicted(i int) string { return "predicted." + strconv.Itoa(i) }

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

// own reports whether a name is of a trainer's own.
func own(name string) bool {
	if slices.Contains(sums, name) {
		return false
	}
	kind, _, _ := strings.Cut(name, ".")
	return !slices.Contains([]string{"confusion", "actual", "predicted"}, kind)
}

// Own returns the names of the trainer's own numbers, sorted.
func (m Metrics) Own() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if own(name) {
			names = append(names, name)
		}
	}
	return names
}

package trainer

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/fold"
)

// former are names of an earlier protocol, which lose the variance of a target
// beside a large mean.
var former = map[string]bool{"y": true, "yy": true}

// instead says what to send for a value whose mean over sites, even by rows, is not its
// value over all rows, or that stands for one that is made of sums; and which names
// are those of other curves.
var instead = map[string]string{
	ScoreAccuracy: "send correct, the rows whose class was found", "acc": "send correct, the rows whose class was found",
	ScoreMAE: "send ae, the sum of the absolute errors", ScoreBias: "send e, the sum of predicted less actual",
	ScoreRMSE: "send se, the sum of the squared errors", "mse": "send se, the sum of the squared errors",
	ScoreR2: "send se, y_mean and y_m2",
	"round": "the name is taken", "sites": "the name is taken", "round_seconds": "the name is taken", "bytes_up": "the name is taken", "bytes_down": "the name is taken",
}

func init() {
	for _, name := range []string{ScoreMacroF1, "f1", ScoreBalanced, "precision", "recall"} {
		instead[name] = "send the confusion matrix"
	}
	for _, name := range []string{ScoreROCAUC, "auc", ScorePrecision, "ap"} {
		instead[name] = "send scores, the histograms of the probabilities: a mean over sites is another number"
	}
}

// Instead says of the name of a metric what a trainer sends instead of its value; ""
// where the name may be one of its own.
func Instead(name string) string { return instead[name] }

// maxMetric keeps the sums of all sites, and squares of means, finite.
const maxMetric = 1e100

// Problems says in words which numbers of a site count in nothing, and why:
// those that are no finite number, that no rows can have, or whose name means
// something else; and an r2 that cannot be. The texts are sorted by name.
func (m Metrics) Problems() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if why := unusable(name, m[name]); why != "" {
			out = append(out, name+" "+why)
		}
	}
	if len(m) == 0 {
		return out
	}
	m = m.usable()
	n, there := m[SumN]
	if !there {
		return append(out, "n, the number of rows, is missing: nothing can be pooled")
	}
	if _, mean, m2, ok := m.regression(); ok && n > 0 {
		if (fold.Moments{N: []float64{n}, Mean: []float64{mean}, M2: []float64{m2}}).Constant(0) {
			out = append(out, fmt.Sprintf("r2 has no value: the target is %g in all of %g rows", mean, n))
		}
	}
	return out
}

// usable returns the numbers that can be pooled.
func (m Metrics) usable() Metrics {
	out := make(Metrics, len(m))
	for name, v := range m {
		if unusable(name, v) == "" {
			out[name] = v
		}
	}
	return out
}

// unusable says what is wrong with a number.
func unusable(name string, v float64) string {
	_, _, _, counted := class(name)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "is no finite number"
	case math.Abs(v) > maxMetric || name == SumN && v > 1<<53:
		return fmt.Sprintf("is %g, beyond what can be added", v)
	case former[name]:
		return "is not used: r2 takes y_mean, the mean of the target, and y_m2, its summed squared deviations from that mean"
	case instead[name] != "":
		return "is not taken: " + instead[name]
	case own(name):
		return ""
	case !counted && !slices.Contains(sums, name):
		return "is not used: the names are " + strings.Join(sums, ", ") + ", confusion.<i>.<j>, actual.<i> and predicted.<j>"
	case v < 0 && !slices.Contains(signed, name):
		return fmt.Sprintf("is %g, want 0 or more", v)
	}
	return ""
}

package trainer

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/fold"
)

// former are names of an earlier protocol, which lose the variance of a target
// beside a large mean.
var former = map[string]bool{"y": true, "yy": true}

// maxMetric keeps the sums of all sites, and squares of means, finite.
const maxMetric = 1e100

// Problems says in words which numbers of a site count in nothing, and why:
// those that are no finite number, that no rows can have, or whose name means
// nothing; and an r2 that cannot be. The texts are sorted by name.
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
	switch _, _, _, ok := class(name); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "is no finite number"
	case math.Abs(v) > maxMetric || name == SumN && v > 1<<53:
		return fmt.Sprintf("is %g, beyond what can be added", v)
	case former[name]:
		return "is not used: r2 takes y_mean, the mean of the target, and y_m2, its summed squared deviations from that mean"
	case !ok && !slices.Contains([]string{SumN, SumLoss, SumSE, SumAE, SumCorrect, MeanY, M2Y}, name):
		return "is not used: the names are n, loss, correct, se, ae, y_mean, y_m2, confusion.<i>.<j>, actual.<i> and predicted.<j>"
	case v < 0 && name != SumLoss && name != MeanY:
		return fmt.Sprintf("is %g, want 0 or more", v)
	}
	return ""
}

package aggregator

import (
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// metrics pools what the members measured of the round's base: ratios of
// exact sums, and beside them the best and the worst site.
func (t *task) metrics() record.Metrics {
	paths := make([]string, 0, len(t.folded))
	for p := range t.folded {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	var sums []map[string]float64
	out := record.Metrics{}
	for _, p := range paths {
		if !usable(t.folded[p].metrics) {
			continue
		}
		sums = append(sums, t.folded[p].metrics)
		for name, v := range trainer.Pool([]trainer.Metrics{t.folded[p].metrics}) {
			out[name] = extend(out[name], name, p, v)
		}
	}
	pooled := trainer.Pool([]trainer.Metrics{poolSums(sums)})
	for name, m := range out {
		v, ok := pooled[name]
		if !ok {
			v = math.NaN() // sums beyond their range
		}
		m.Value = record.Number(v)
		out[name] = m
	}
	return out
}

// extend takes one site's value into a metric's best and worst; ties stay with
// the smaller path (algorithms A7).
func extend(m record.Metric, name, site string, v float64) record.Metric {
	x := record.Number(v)
	if m.Sites == 0 {
		return record.Metric{Sites: 1, Best: x, BestSite: site, Worst: x, WorstSite: site}
	}
	m.Sites++
	better, worse := x > m.Best, x < m.Worst
	if lowerIsBetter(name) {
		better, worse = x < m.Best, x > m.Worst
	}
	if better {
		m.Best, m.BestSite = x, site
	}
	if worse {
		m.Worst, m.WorstSite = x, site
	}
	return m
}

// lowerIsBetter tells errors from scores.
func lowerIsBetter(name string) bool { return name == "loss" || name == "rmse" || name == "mae" }

// usable reports whether a member measured anything, by sums that can be
// added: one that cannot takes the member out, not the metric.
func usable(m map[string]float64) bool {
	for _, v := range m {
		if fold.NewScalar(fold.MetricStep).Add(v) != nil {
			return false
		}
	}
	return m[trainer.SumN] > 0
}

// poolSums adds the usable sums of members exactly (algorithms A6): the same
// bits in any order. A name whose sum has no room is left out.
func poolSums(members []map[string]float64) map[string]float64 {
	sums := map[string]*fold.Scalar{}
	full := map[string]bool{}
	for _, m := range members {
		for name, v := range m {
			if sums[name] == nil {
				sums[name] = fold.NewScalar(fold.MetricStep)
			}
			if sums[name].Add(v) != nil {
				full[name] = true
			}
		}
	}
	out := map[string]float64{}
	for name, s := range sums {
		if !full[name] {
			out[name] = s.Float64()
		}
	}
	return out
}

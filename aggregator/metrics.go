package aggregator

import (
	"maps"
	"math"
	"slices"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// metrics pools what the members measured of the round's base: ratios of
// exact sums over the rows of those who report a metric, and beside them the
// best and the worst site.
func (t *task) metrics() record.Metrics {
	paths := slices.Sorted(maps.Keys(t.sum.in))
	sites := make([]trainer.Metrics, len(paths))
	out := record.Metrics{}
	for i, p := range paths {
		sites[i] = t.sum.in[p].metrics
		for name, v := range sites[i].Scores() {
			out[name] = extend(out[name], name, p, v)
		}
	}
	for name, s := range trainer.Pool(sites) {
		m, ok := out[name]
		if !ok { // nobody has a value: targets that are constant at each site
			m.Best, m.Worst = record.Number(math.NaN()), record.Number(math.NaN())
		}
		m.Value, m.Rows = record.Number(s.Value), record.Number(s.Rows)
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

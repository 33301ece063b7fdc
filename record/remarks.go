package record

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/verdict"
)

// Remark says in words what a record's numbers do not show at a glance.
type Remark struct {
	Key  string // the same for the same matter in another round
	Text string
}

// Remarks says whose weight the cap has lowered, and which metrics are not of
// all rows.
func (r Record) Remarks() (out []Remark) {
	if capped := r.capped(); len(capped) > 0 {
		out = append(out, Remark{"cap", fmt.Sprintf("weights are limited to %d, so these count less than their rows: %s (strategy: {cap: N} or cap_factor sets another limit)",
			r.Strategy.Cap, listed(capped))})
	}
	all := float64(r.Metrics["n"].Value)
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		m := r.Metrics[name]
		switch rows := float64(m.Rows); {
		case name == "r2" && m.Sites == 0 && math.IsNaN(float64(m.Value)):
			out = append(out, Remark{name, fmt.Sprintf("r2 has no value: the target is the same in all of %g rows", rows)})
		case rows > 0 && rows < all:
			out = append(out, Remark{name, fmt.Sprintf("%s is over %g of %g rows; not reported by %s", name, rows, all, listed(r.without(name)))})
		}
	}
	return out
}

// capped names the members whose weight is less than their samples gave.
func (r Record) capped() (out []string) {
	limit := r.Strategy.Cap
	for _, e := range r.Entries {
		over := e.Samples > limit
		if r.Strategy.Weights == "sqrt" {
			over = e.Samples > limit*limit+limit // the root rounds to more; the cap is at most 2^29
		}
		if e.Verdict == verdict.Counted && e.Weight == limit && over && r.Strategy.Weights != "uniform" {
			out = append(out, fmt.Sprintf("%s with %d rows", e.Member, e.Samples))
		}
	}
	return out
}

// without names the members that measured the base, but not this.
func (r Record) without(metric string) (out []string) {
	for _, e := range r.Entries {
		_, has := e.Metrics[metric]
		if _, measured := e.Metrics["n"]; measured && !has {
			out = append(out, e.Member)
		}
	}
	return out
}

// listed names the first of many.
func listed(names []string) string {
	const most = 5
	if n := len(names) - most; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n)
	}
	return strings.Join(names, ", ")
}

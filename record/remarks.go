package record

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// Remark says in words what a record's numbers do not show at a glance.
type Remark struct {
	Key  string // the same for the same matter in another round
	Text string
}

// Remarks says whose weight the cap has lowered, whom the guard has refused or clipped, what most updates are
// too large for, why a metric is shown first that was
// not asked for, and which metrics are not of all rows.
func (r Record) Remarks() (out []Remark) {
	if capped := r.capped(); len(capped) > 0 {
		out = append(out, Remark{"cap", fmt.Sprintf("weights are limited to %d, so these count less than their rows: %s (strategy: {cap: N} or cap_factor sets another limit)",
			r.Strategy.Cap, listed(capped))})
	}
	for _, note := range r.Notes {
		out = append(out, Remark{"note " + note, note})
	}
	out = append(append(out, r.guarded()...), r.unscaled()...)
	if r.Note != "" {
		out = append(out, Remark{"shown", r.Note})
	}
	if len(r.Left) > 0 {
		out = append(out, Remark{"left", fmt.Sprintf("trainers report more numbers of their own than a task has curves for; left out: %s", listed(r.Left))})
	}
	if m, ok := r.Metrics["r2"]; ok && m.Sites == 0 && math.IsNaN(float64(m.Value)) {
		out = append(out, Remark{"r2", fmt.Sprintf("r2 has no value: the target is the same in all of %g rows", float64(m.Rows))})
	}
	return append(out, r.partial()...)
}

// partial names the metrics that are not of all rows: those of the same rows together.
func (r Record) partial() (out []Remark) {
	all := float64(r.Metrics["n"].Value)
	at := map[string]int{}
	var names [][]string
	var said []string
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		rows := float64(r.Metrics[name].Rows)
		if rows <= 0 || rows >= all {
			continue
		}
		text := fmt.Sprintf("over %g of %g rows; not reported by %s", rows, all, listed(r.without(name)))
		i, ok := at[text]
		if !ok {
			i = len(said)
			at[text] = i
			names, said = append(names, nil), append(said, text)
		}
		names[i] = append(names[i], name)
	}
	for i, text := range said {
		is := " is "
		if len(names[i]) > 1 {
			is = " are "
		}
		out = append(out, Remark{names[i][0], listed(names[i]) + is + text})
	}
	return out
}

// guarded names the members whose updates the guard has refused or clipped (F-21).
func (r Record) guarded() (out []Remark) {
	var refused, clipped []string
	most, isClipped := r.Strategy.Thresholds["C"]
	for _, e := range r.Entries {
		switch {
		case e.Verdict == verdict.NormOutlier:
			refused = append(refused, e.Member)
		case e.Verdict == verdict.Counted && isClipped && float64(e.Norm) > most:
			clipped = append(clipped, fmt.Sprintf("%s with %.3g", e.Member, float64(e.Norm)))
		}
	}
	if len(refused) > 0 {
		who := listed(refused)
		out = append(out, Remark{"guard " + who, fmt.Sprintf("the guard has refused updates with a value beyond %.3g: %s (training that diverged, a damaged or hostile site; the refusal names the value; strategy: {guard: {zero: {initial: N}}} takes larger ones)",
			r.Strategy.Thresholds["Z"], who)})
	}
	if len(clipped) > 0 {
		out = append(out, Remark{"clip", fmt.Sprintf("the guard scales updates to a norm of at most %.3g: %s", most, listed(clipped))})
	}
	return out
}

// unscaled says what helps where the values of most updates of a round of training are too
// large to count: that is not one odd site.
func (r Record) unscaled() (out []Remark) {
	var beyond []string
	judged := 0
	for _, e := range r.Entries {
		is := e.Verdict.Beyond() || e.Verdict == verdict.Declined && e.Detail == verdict.NotFinite.String()
		if is {
			beyond = append(beyond, e.Member)
		}
		if is || e.Verdict == verdict.Counted || e.Verdict == verdict.Kept || e.Verdict == verdict.Lapsed {
			judged++
		}
	}
	if r.Work != wire.WorkTrain || 2*len(beyond) <= judged {
		return nil
	}
	return []Remark{{"scale", fmt.Sprintf("%d of %d updates have values too large to count, or that are no numbers (%s): %s", len(beyond), judged, listed(beyond), verdict.Scale)}}
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

package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/table"
	"github.com/fedmq/fedmq/pipeline"
)

// oneSpelling makes one of the texts of a column that are alike: the most frequent, of
// equally frequent ones the first. It returns how often there is which.
func (p *csvPlan) oneSpelling(name string, all map[string]int) map[string]int {
	best := map[string]string{}
	for _, text := range inOrder(all) {
		if other, there := best[table.Like(text)]; !there || all[text] > all[other] {
			best[table.Like(text)] = text
		}
	}
	if len(best) == len(all) {
		return all
	}
	out, same := map[string]int{}, map[string]string{}
	for text, n := range all {
		as := best[table.Like(text)]
		if out[as] += n; as != text {
			same[text] = as
		}
	}
	p.same[name] = same
	for _, text := range slices.Sorted(maps.Keys(same)) {
		p.notes = append(p.notes, fmt.Sprintf("%q of %s counts as %q: if they are not one, take it out of columns", text, name, same[text]))
	}
	return out
}

// ownValues reports that no two sites have a value of a column in common.
func ownValues(cells []*table.Column) bool {
	seen := map[string]bool{}
	for _, c := range cells {
		own := map[string]bool{}
		for v := range c.Values {
			own[table.Like(v)] = true
		}
		for v := range own {
			if seen[v] {
				return false
			}
			seen[v] = true
		}
	}
	return true
}

// compareSites notes what may not be meant so in the tables of several sites.
func (p *csvPlan) compareSites() {
	a := p.sites[0]
	for i, b := range p.sites {
		for _, other := range p.sites[:i] {
			if other.survey.Rows == b.survey.Rows && slices.EqualFunc(other.survey.Columns, b.survey.Columns, sameCells) {
				p.notes = append(p.notes, fmt.Sprintf("%s and %s have the same rows: each counts twice", other.name, b.name))
			}
		}
		names := p.numbers
		if p.classes == nil {
			names = append(slices.Clone(names), p.target)
		}
		for _, name := range names {
			x, y := a.survey.Column(name), b.survey.Column(name)
			words, from, to := pipeline.OtherUnit(spreadOf(y), spreadOf(x))
			if words != "" {
				p.notes = append(p.notes, fmt.Sprintf("%s has mean %.4g at %s, %.4g at %s: %s. If their units differ: columns: {%[1]s: {unit: %[7]s, to: %[8]s}} in %[3]s.yaml, {%[1]s: {unit: %[8]s}} in %[5]s.yaml",
					name, y.Mean, b.name, x.Mean, a.name, words, from, to))
			}
		}
	}
}

// sameCells reports that two columns have the same cells, as far as a survey knows.
func sameCells(a, b table.Column) bool {
	return a.Name == b.Name && a.Missing == b.Missing && a.Mean == b.Mean && a.SD == b.SD && maps.Equal(a.Values, b.Values)
}

func spreadOf(c *table.Column) pipeline.Spread {
	return pipeline.Spread{N: c.Numbers, Mean: c.Mean, SD: c.SD, Min: c.Min, Max: c.Max}
}

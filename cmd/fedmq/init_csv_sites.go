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
	for i, b := range p.sites {
		for _, other := range p.sites[:i] {
			if other.survey.Rows == b.survey.Rows && slices.EqualFunc(other.survey.Columns, b.survey.Columns, sameCells) {
				p.notes = append(p.notes, fmt.Sprintf("%s and %s have the same rows: each counts twice", other.name, b.name))
			}
		}
	}
	names := make([]string, len(p.sites))
	classes := make([][]int, len(p.sites))
	for i, s := range p.sites {
		names[i], classes[i] = s.name, p.classRows(s)
	}
	p.notes = append(p.notes, pipeline.Exchanged(p.target, p.classes, names, classes)...)
	numbers := slices.Clone(p.numbers)
	if p.classes == nil {
		numbers = append(numbers, p.target)
	}
	for _, column := range numbers {
		of := make([]pipeline.Spread, len(p.sites))
		for i, s := range p.sites {
			of[i] = spreadOf(s.survey.Column(column))
		}
		p.notes = append(p.notes, pipeline.OtherUnits(column, names, of)...)
	}
}

// classRows counts the rows of a site by class.
func (p *csvPlan) classRows(s *csvSite) []int {
	rows := make([]int, len(p.classes))
	for text, n := range s.survey.Column(p.target).Values {
		if as, other := p.same[p.target][text]; other {
			text = as
		}
		if i := slices.Index(p.classes, text); i >= 0 {
			rows[i] += n
		}
	}
	return rows
}

// sameCells reports that two columns have the same cells, as far as a survey knows.
func sameCells(a, b table.Column) bool {
	return a.Name == b.Name && a.Missing == b.Missing && a.Mean == b.Mean && a.SD == b.SD && maps.Equal(a.Values, b.Values)
}

func spreadOf(c *table.Column) pipeline.Spread {
	return pipeline.Spread{N: c.Numbers, Mean: c.Mean, SD: c.SD, Min: c.Min, Max: c.Max}
}

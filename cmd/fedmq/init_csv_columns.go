package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/table"
)

// idName is a name of columns that number rows or things.
var idName = regexp.MustCompile(`(?i)(^|[_ .-])(id|nr|no|num|number|nummer|serial|sn|key|uuid|guid|index|row|unnamed|lot|batch)([_ .:-]|$)|^unnamed: [0-9]+$|[a-z]I[Dd]$`)

// decideColumn makes a feature of a column, or says why it is none.
func (p *csvPlan) decideColumn(name string, cells []*table.Column) string {
	of := func(f func(*table.Column) int) int { return sum(cells, f) }
	numbers, booleans := of(func(c *table.Column) int { return c.Numbers }), of(func(c *table.Column) int { return c.Booleans })
	times := of(func(c *table.Column) int { return c.Times })
	words := union(cells, textsOf)
	inWords := of(func(c *table.Column) (n int) {
		for _, k := range c.Texts {
			n += k
		}
		return n
	})
	many := slices.ContainsFunc(cells, (*table.Column).Many)
	switch {
	case numbers+booleans+times+inWords == 0:
		return "it is empty"
	case p.isSplit(name, words):
		p.split = name
		return "it says which rows are for testing"
	case times > 0 && times >= inWords && numbers+booleans == 0:
		p.times = true
		return "a time stamp"
	case times > 0:
		return "times among other values, such as " + first(cells, func(c *table.Column) string { return c.Time })
	case slices.ContainsFunc(cells, func(c *table.Column) bool { return c.OtherMark > 0 }):
		return "numbers with another decimal mark than those of the other columns, such as " + first(cells, func(c *table.Column) string { return c.Other })
	case numbers > 0 && !many && len(words) <= fewWords && inWords*5 <= numbers && booleans == 0:
		if why := p.noNumber(name, cells); why != "" {
			return why
		}
		p.numbers = append(p.numbers, name)
		p.noteWords(name)
		return ""
	case numbers > 0 && inWords > 0:
		return "numbers and texts, such as " + first(cells, func(c *table.Column) string { return c.Text })
	case booleans > 0 && inWords == 0:
		if len(union(cells, valuesOf)) == 1 {
			return "the same in every row"
		}
		p.numbers = append(p.numbers, name)
		return ""
	}
	return p.decideTexts(name, cells, many)
}

// noNumber says why a column of numbers is no feature.
func (p *csvPlan) noNumber(name string, cells []*table.Column) string {
	same, each, whole := true, true, true
	unique, rising := true, true
	for _, c := range cells {
		if c.Numbers == 0 {
			return "it is empty at a site"
		}
		same = same && c.Min == c.Max && c.Min == cells[0].Min
		each = each && c.Min == c.Max
		whole = whole && c.Whole == c.Numbers
		unique = unique && c.Unique && c.Numbers >= fewRows
		rising = rising && c.Rising && c.Numbers >= fewRows
	}
	switch {
	case same:
		return "the same in every row"
	case each && len(cells) > 1:
		return "the same in every row of a site: it tells the sites apart"
	case whole && rising:
		return "it counts up from row to row: an id, or a time"
	case whole && unique && idName.MatchString(name):
		return "another number in every row: an id"
	case whole && len(cells) > 1 && (idName.MatchString(name) || thingName.MatchString(name)) && ownValues(cells):
		return "no two sites share a number of it: it tells the sites apart"
	}
	return ""
}

// first is the first place that there is.
func first(cells []*table.Column, of func(*table.Column) string) string {
	for _, c := range cells {
		if at := of(c); at != "" {
			return at
		}
	}
	return ""
}

// thingName is a name of columns that name machines.
var thingName = regexp.MustCompile(`(?i)(machine|maschine|device|asset|anlage|gerät|geraet|equipment)|(^|[_ .-])(station|line|linie)([_ .-]|$)`)

// noteWords takes the texts among the numbers of a column for missing values, and says so.
func (p *csvPlan) noteWords(name string) {
	rows, at := map[string]int{}, map[string][]string{}
	for _, s := range p.sites {
		texts := s.survey.Column(name).Texts
		for _, w := range inOrder(texts) {
			if table.IsState(w) {
				continue
			}
			if rows[w], at[w] = rows[w]+texts[w], append(at[w], s.name); !slices.Contains(s.missing, w) {
				s.missing = append(s.missing, w)
			}
		}
	}
	for _, w := range inOrder(rows) {
		p.notes = append(p.notes, fmt.Sprintf("%q of %s counts as a missing value, in %s at %s: if it is none, take it out of missing", w, name, amount(rows[w], "row"), strings.Join(at[w], ", ")))
	}
}

func (p *csvPlan) decideTexts(name string, cells []*table.Column, many bool) string {
	all := p.oneSpelling(name, union(cells, valuesOf))
	rows := 0
	unique, each := true, true
	for _, c := range cells {
		n := 0
		for _, k := range c.Values {
			n += k
		}
		rows += n
		unique = unique && c.Unique && n >= fewRows
		each = each && len(c.Values) == 1
	}
	unit := withUnit(all)
	switch {
	case len(all) == 1:
		return "the same in every row"
	case unit && (unique || many || len(all) > fewTexts):
		return fmt.Sprintf("numbers with a unit behind them, such as %s: want the number alone", first(cells, func(c *table.Column) string { return c.Text }))
	case each && len(cells) > 1:
		return "the same in every row of a site: it tells the sites apart"
	case unique:
		return "another text in every row: an id"
	case len(cells) > 1 && ownValues(cells):
		return "no two sites share a text of it: it tells the sites apart"
	case many || len(all) > someTexts || len(all) > fewTexts && rows < 10*len(all):
		more := ""
		if many {
			more = "more than "
		}
		return fmt.Sprintf("%s%d texts: too many for categories", more, len(all))
	}
	p.texts = append(p.texts, csvTexts{name, inOrder(all)})
	return ""
}

// withUnit reports that each of the texts is a number with one of few units behind it.
func withUnit(texts map[string]int) bool {
	units := map[string]bool{}
	for text := range texts {
		m := unitBehind.FindStringSubmatch(text)
		if m == nil {
			return false
		}
		units[m[1]] = true
	}
	return len(units) <= fewUnits
}

var unitBehind = regexp.MustCompile(`^[-+\x{2212}]?[0-9][0-9.,]*\s*([%‰°\p{L}]\S{0,15})$`)

// isSplit reports that a column is called split and has the texts train and test.
func (p *csvPlan) isSplit(name string, words map[string]int) bool {
	return p.split == "" && splitName.MatchString(name) && words["train"] > 0 && words["test"] > 0
}

var splitName = regexp.MustCompile(`(?i)^(split|set|subset|part)$`)

func (p *csvPlan) leftOut() string {
	var out []string
	for _, l := range p.left {
		out = append(out, fmt.Sprintf("%s (%s)", l.name, l.why))
	}
	return strings.Join(out, ", ")
}

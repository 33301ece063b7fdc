package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/internal/table"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// csvPlan is what init has decided.
type csvPlan struct {
	sites   []*csvSite
	target  string
	classes []string // nil: regression
	counts  map[string]int
	empty   int // rows without a target
	offset  float64
	scale   float64
	numbers []string
	texts   []csvTexts
	left    []csvLeft
	split   string // column that says which rows are for testing
	times   bool   // there are time stamps
	rows    int
	notes   []string

	regression bool                         // whatever the target looks like
	same       map[string]map[string]string // by column: texts, and what they count as
}

// csvTexts is a column of texts.
type csvTexts struct {
	name   string
	values []string
}

// csvLeft is a column that is left out.
type csvLeft struct{ name, why string }

// Limits of what counts as a category.
const (
	fewTexts  = 20 // are categories anyway
	someTexts = 64 // are, with ten rows each
	fewWords  = 5  // texts among numbers that may stand for a missing value
	fewUnits  = 3  // behind the numbers of one column: bar, Bar, mbar
	fewRows   = 10 // say nothing of ids
	fewValues = 10 // of whole numbers are classes
)

// decide says what becomes of every column.
func decide(sites []*csvSite, target string, regression bool) (*csvPlan, error) {
	p := &csvPlan{sites: sites, target: table.Name(target), regression: regression, same: map[string]map[string]string{}}
	for _, s := range sites {
		p.rows += s.survey.Rows
		if s.survey.Rows == 0 {
			return nil, fmt.Errorf("%s has no rows", s.survey.Files[0])
		}
	}
	cells, err := p.columns(p.target)
	if err != nil {
		return nil, fmt.Errorf("--target %s: %w; the columns are %s", target, err, strings.Join(p.names(), ", "))
	}
	if err := p.decideTarget(cells); err != nil {
		return nil, err
	}
	for _, name := range p.names() {
		if name == p.target {
			continue
		}
		cells, err := p.columns(name)
		if err != nil {
			p.left = append(p.left, csvLeft{name, err.Error()})
			continue
		}
		if why := p.decideColumn(name, cells); why != "" {
			p.left = append(p.left, csvLeft{name, why})
		}
	}
	p.compareSites()
	if len(p.numbers)+len(p.texts) == 0 {
		return nil, fmt.Errorf("no column is left as a feature: %s", p.leftOut())
	}
	return p, nil
}

// names of all columns, in the order of the first site that has them.
func (p *csvPlan) names() (names []string) {
	for _, s := range p.sites {
		for _, c := range s.survey.Columns {
			if !slices.Contains(names, c.Name) {
				names = append(names, c.Name)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(s.survey.Twice)) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// columns are those of all sites with a name.
func (p *csvPlan) columns(name string) (list []*table.Column, err error) {
	var with, without []string
	for _, s := range p.sites {
		if where, twice := s.survey.Twice[name]; twice {
			return nil, fmt.Errorf("%s: give one of them another name in the file", where)
		}
		if c := s.survey.Column(name); c != nil {
			list, with = append(list, c), append(with, s.name)
		} else {
			without = append(without, s.name)
		}
	}
	switch {
	case len(with) == 0:
		return nil, errors.New("no such column")
	case len(without) > 0:
		return nil, fmt.Errorf("only %s has it, not %s", strings.Join(with, ", "), strings.Join(without, ", "))
	}
	return list, nil
}

// sum adds a count up over the sites.
func sum(cells []*table.Column, of func(*table.Column) int) (n int) {
	for _, c := range cells {
		n += of(c)
	}
	return n
}

// union counts texts over the sites.
func union(cells []*table.Column, of func(*table.Column) map[string]int) map[string]int {
	all := map[string]int{}
	for _, c := range cells {
		for text, n := range of(c) {
			all[text] += n
		}
	}
	return all
}

func textsOf(c *table.Column) map[string]int  { return c.Texts }
func valuesOf(c *table.Column) map[string]int { return c.Values }

func (p *csvPlan) decideTarget(cells []*table.Column) error {
	of := func(f func(*table.Column) int) int { return sum(cells, f) }
	numbers := of(func(c *table.Column) int { return c.Numbers })
	whole := of(func(c *table.Column) int { return c.Whole })
	all := union(cells, valuesOf)
	p.empty = of(func(c *table.Column) int { return c.Missing })
	words, inWords := union(cells, textsOf), 0
	for _, n := range words {
		inWords += n
	}
	others := of(func(c *table.Column) int { return c.Booleans + c.Times })
	if numbers > 0 && others == 0 && len(words) <= fewWords && inWords*5 <= numbers && (whole < numbers || len(all)-len(words) > fewValues || p.regression) {
		if other := first(cells, func(c *table.Column) string { return c.Other }); other != "" {
			return fmt.Errorf("--target %s has %s, with another decimal mark than other columns of the file, or than --decimal says: no site could read it", p.target, other)
		}
		p.empty += inWords
		p.noteWords(p.target)
		return p.decideRegression(cells, numbers)
	}
	if p.regression {
		return fmt.Errorf("--regression: --target %s is no column of numbers: it has %s", p.target, oddCell(cells))
	}
	if many := slices.ContainsFunc(cells, (*table.Column).Many); many || len(all) > tabular.MaxClasses {
		return fmt.Errorf("--target %s has more than %d texts, such as %s: want a column of few, or of numbers", p.target, tabular.MaxClasses, oddCell(cells))
	}
	if all = p.oneSpelling(p.target, all); len(all) < 2 {
		return fmt.Errorf("--target %s is the same in every row: %q", p.target, inOrder(all))
	}
	p.classes, p.counts = inOrder(all), all
	if numbers > 0 && whole == numbers && inWords+others == 0 && len(all) > 2 {
		p.notes = append(p.notes, fmt.Sprintf("the %d whole numbers of %s count as classes, and 3 is as far from 4 as from 8; to predict a number: --regression", len(all), p.target))
	}
	return nil
}

// oddCell is a cell that is no number, with its place.
func oddCell(cells []*table.Column) string {
	for _, c := range cells {
		if said := cmp.Or(c.Text, c.Time); said != "" {
			return said
		}
	}
	return fmt.Sprintf("%q", inOrder(union(cells, valuesOf))[0])
}

// decideRegression brings the target to the scale of the model, in round numbers.
func (p *csvPlan) decideRegression(cells []*table.Column, n int) error {
	mean, m2 := pooled(cells, n)
	sd := math.Sqrt(m2 / float64(n))
	if !(sd > 0) {
		return fmt.Errorf("--target %s is the same in every row", p.target)
	}
	p.scale = rounded(sd, sd)
	if p.offset = rounded(mean, sd); math.Abs(p.offset) < sd/10 {
		p.offset = 0
	}
	for i, c := range cells {
		if why := pipeline.Apart(c.All); why != "" {
			p.notes = append(p.notes, fmt.Sprintf("%s %s, at %s: a slip of the hand, a line with the sum of the others, or a number that stands for a missing value (--missing)?", p.target, why, p.sites[i].name))
		}
	}
	return nil
}

// pooled moments of numbers.
func pooled(cells []*table.Column, n int) (mean, m2 float64) {
	for _, c := range cells {
		mean += c.Mean * float64(c.Numbers) / float64(n)
	}
	for _, c := range cells {
		d := c.Mean - mean
		m2 += float64(c.Numbers) * (c.SD*c.SD + d*d)
	}
	return mean, m2
}

// rounded returns v with two digits of what is of the size of unit.
func rounded(v, unit float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10(unit))-1)
	v, err := strconv.ParseFloat(strconv.FormatFloat(math.Round(v/step)*step, 'g', 12, 64), 64)
	if err != nil {
		return 1
	}
	return v
}

// inOrder sorts texts, numbers by their value.
func inOrder(set map[string]int) []string {
	list := make([]string, 0, len(set))
	for s := range set {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b string) int {
		x, errA := strconv.ParseFloat(a, 64)
		y, errB := strconv.ParseFloat(b, 64)
		if errA == nil && errB == nil {
			return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
		}
		return cmp.Compare(a, b)
	})
	return list
}

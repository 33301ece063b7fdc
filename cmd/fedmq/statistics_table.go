package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/record"
)

// gathered is what a task of statistics has gathered.
type gathered struct {
	Levels  []float64
	Columns []view.Column
}

// gatheredOf reads a survey's model; ok is false for the model of a task that trains.
func gatheredOf(m *model.Model, c *pipeline.Contract, site func(uint32) string) (g gathered, ok bool, err error) {
	if v, is := model.SurveyOf(m.Schema); !is || c == nil || c.Predicts() || len(c.Inputs) != v.Features {
		return g, false, nil
	}
	names, units := make([]string, len(c.Inputs)), make([]string, len(c.Inputs))
	for i, in := range c.Inputs {
		names[i], units[i] = in.Name, in.Unit
	}
	g.Levels, g.Columns, err = view.Columns(m, names, units, site)
	return g, true, err
}

// memberBy tells the path of a member by its index, as records do.
func memberBy(recs []record.Record) func(uint32) string {
	paths := map[uint32]string{}
	for _, r := range recs {
		for _, e := range r.Entries {
			paths[e.Index] = e.Member
		}
	}
	return func(i uint32) string {
		if path, ok := paths[i]; ok {
			return path
		}
		return "member " + strconv.FormatUint(uint64(i), 10)
	}
}

// heads name the columns of a table of statistics.
func (g gathered) heads() []string {
	list := []string{"column", "sites", "count", "missing", "mean", "sd"}
	if g.extremes() {
		list = append(list, "min", "max")
	}
	for _, p := range g.Levels {
		list = append(list, "p"+strconv.FormatFloat(math.Round(p*1e6)/1e4, 'g', -1, 64))
	}
	return append(list, "drift", "worst site")
}

func (g gathered) extremes() bool {
	for _, c := range g.Columns {
		if c.Min != nil {
			return true
		}
	}
	return false
}

// cells are a row of it.
func (g gathered) cells(c view.Column) []string {
	name := c.Name
	if c.Unit != "" {
		name += " (" + c.Unit + ")"
	}
	sd := "-"
	if v := c.SD(); !math.IsNaN(v) {
		sd = numberText(v)
	}
	list := []string{name, strconv.Itoa(c.Sites), fmt.Sprintf("%.0f", c.Count), fmt.Sprintf("%.0f", c.Missing), optional(c.Mean), sd}
	if g.extremes() {
		list = append(list, optional(c.Min), optional(c.Max))
	}
	for i := range g.Levels {
		if c.Quantiles == nil {
			list = append(list, "-")
		} else {
			list = append(list, quantileText(c.Quantiles[i]))
		}
	}
	worst := "-"
	if c.Worst != nil {
		worst = fmt.Sprintf("%s %.3g", c.WorstSite, *c.Worst)
	}
	return append(list, optional(c.Drift), worst)
}

func optional(v *float64) string {
	if v == nil {
		return "-"
	}
	return numberText(*v)
}

// quantileText is its value, or between what it lies where that is too far apart.
func quantileText(q view.Quantile) string {
	switch {
	case q.Value != nil:
		return numberText(*q.Value)
	case q.From != nil && q.To != nil:
		return numberText(*q.From) + ".." + numberText(*q.To)
	case q.From != nil:
		return ">" + numberText(*q.From)
	case q.To != nil:
		return "<" + numberText(*q.To)
	}
	return "-"
}

// withoutWords say why there is no histogram.
var withoutWords = map[view.Without]string{
	view.WithoutSites: "fewer than 3 sites have told of it: only how many rows (statistics: {allow_few: true} has all the same)",
	view.WithoutRange: "no histogram yet: this round has found its range, the next one counts",
	view.WithoutRows:  "nothing is told of it, or of no bin: each site has fewer rows there than its min_count",
}

// notes say what is not told, column by column.
func (g gathered) notes() (list []string) {
	for _, c := range g.Columns {
		if text := withoutWords[c.Without]; text != "" {
			list = append(list, c.Name+": "+text)
		}
		list = append(list, shortNotes(c)...)
	}
	return list
}

// shortNotes say what the histogram of a column does not have.
func shortNotes(c view.Column) (list []string) {
	if h := c.Histogram; h != nil && h.Under > 0 {
		list = append(list, fmt.Sprintf("%s: %s %% of the values are below %s, its lo", c.Name, percentText(h.Under/c.Count), numberText(h.Lo)))
	}
	if h := c.Histogram; h != nil && h.Over > 0 {
		list = append(list, fmt.Sprintf("%s: %s %% of the values are above %s, its hi", c.Name, percentText(h.Over/c.Count), numberText(h.Hi)))
	}
	if c.Hidden > 0 {
		list = append(list, fmt.Sprintf("%s: %.0f bins hidden, which sites have fewer rows in than their min_count: %.0f rows, %s %%", c.Name, c.Hidden, c.HiddenRows, percentText(c.HiddenRows/c.Count)))
	}
	wide := slices.ContainsFunc(c.Quantiles, func(q view.Quantile) bool { return q.Value == nil })
	switch {
	case c.Histogram == nil:
	case !c.Compared():
		list = append(list, c.Name+": its histogram has too few of the values for drift and worst site; fewer bins or another lo and hi of the task, or a lower min_count of the sites mend that")
	case wide && c.HiddenRows > 0:
		list = append(list, c.Name+": a quantile that hidden rows move by more than a bin is a range; fewer bins of the task, or a lower min_count of the sites mend that")
	}
	return list
}

// unnamed says where the paths of sites are that the table has by their index.
func (g gathered) unnamed(w io.Writer) (err error) {
	if slices.ContainsFunc(g.Columns, func(c view.Column) bool { return c.WorstSite != "" }) {
		_, err = fmt.Fprintln(w, "worst site: a member by its index in the records; its path is on the task's topic statistics, and in fedmq report")
	}
	return err
}

// percentText is a share in percent, of two digits where it is small.
func percentText(share float64) string {
	if share >= .1 {
		return fmt.Sprintf("%.0f", 100*share)
	}
	return fmt.Sprintf("%.2g", 100*share)
}

// table writes what is gathered as a table, and what is not told.
func (g gathered) table(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join(g.heads(), "\t"))
	for _, c := range g.Columns {
		fmt.Fprintln(tw, strings.Join(g.cells(c), "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, note := range g.notes() {
		fmt.Fprintln(w, note)
	}
	return nil
}

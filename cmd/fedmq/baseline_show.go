package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/fedmq/fedmq/trainer"
)

// baselineJSON is what --json prints.
type baselineJSON struct {
	Task      string     `json:"task"`
	Metric    string     `json:"metric"`
	Table     []armScore `json:"table"`
	Trainings []outcome  `json:"trainings"`
}

// armScore is a row of the table: what one way to train reached.
type armScore struct {
	Set   string  `json:"set,omitempty"`
	Arm   string  `json:"arm"`
	N     int     `json:"n"` // folds, seeds and sites left out that it is the mean of
	Mean  float64 `json:"mean"`
	SD    float64 `json:"sd"`    // over them; 0 for one
	Best  float64 `json:"best"`  // of the sites, for those alone, else of n
	Worst float64 `json:"worst"` // likewise

	BestVersion *float64 `json:"best_version,omitempty"` // mean of the versions that did best; Mean is of the last ones
}

// otherBest reports that the best version shows as another number than the last one.
func (r armScore) otherBest() bool {
	return r.BestVersion != nil && fmt.Sprintf("%.4g", *r.BestVersion) != fmt.Sprintf("%.4g", r.Mean)
}

// lowerIsBetter tells errors from scores.
func lowerIsBetter(metric string) bool {
	better, _ := trainer.Better(metric)
	return better(0, 1)
}

func (b *baseline) show(done []outcome) error {
	metric, err := b.shown(done[0])
	if err != nil {
		return usageError{err}
	}
	rows, err := scoresOf(done, metric)
	if err != nil {
		return err
	}
	if b.JSON {
		if err := indented(stdout).Encode(baselineJSON{Task: b.agg.Tasks[b.task].Name, Metric: metric, Table: rows, Trainings: done}); err != nil {
			return err
		}
	} else if err := b.print(rows, done, metric); err != nil {
		return err
	}
	path := b.Out
	if path == "" {
		path = filepath.Join(b.up.dir, "baseline.png")
	}
	if err := b.picture(path, rows, done, metric); err != nil {
		return err
	}
	if !b.JSON {
		fmt.Fprintf(stdout, "\nPicture: %s\n", path)
	}
	if n := len(b.refused); n > 0 {
		var why []error
		for _, set := range slices.Sorted(maps.Keys(b.refused)) {
			why = append(why, fmt.Errorf("%s cannot be trained: %w", set, b.refused[set]))
		}
		return errors.Join(why...)
	}
	return nil
}

// bestSet says which point of the grid has the best federation.
func bestSet(rows []armScore, metric string) string {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r armScore) bool { return r.Arm != armFederated })
	better, known := trainer.Better(metric)
	if len(rows) < 2 || !known {
		return ""
	}
	best := rows[0]
	for _, r := range rows {
		if better(r.Mean, best.Mean) {
			best = r
		}
	}
	said := fmt.Sprintf("The best federation: %s, %.4g", best.Set, best.Mean)
	equals := slices.DeleteFunc(rows, func(r armScore) bool { return r.Mean != best.Mean })
	if n := len(equals) - 1; n > 0 {
		said += ", as much as " + amount(n, "other")
	}
	if best.N == 1 {
		said += "; it is one training each, and --seeds 5 says how much of the difference is chance"
	}
	return said + "."
}

// shown is the metric of table and picture.
func (b *baseline) shown(o outcome) (string, error) {
	names := slices.Sorted(maps.Keys(o.Metrics))
	if b.Metric != "" {
		if _, ok := o.Metrics[b.Metric]; !ok {
			return "", fmt.Errorf("--metric: %q, want one of %q", b.Metric, names)
		}
		return b.Metric, nil
	}
	if len(names) == 0 {
		return "", errors.New("nothing was measured: want test rows at some site (test, or split)")
	}
	return cmp.Or(o.Shown, names[0]), nil
}

// scoresOf sums up trainings: sites alone are first taken together for each
// fold, seed and site left out.
func scoresOf(done []outcome, metric string) (rows []armScore, err error) {
	type of struct {
		set, arm string
	}
	type once struct {
		trial
		of
	}
	var order []of
	runs, values := map[of][]once{}, map[once][]float64{}
	for _, o := range done {
		m, ok := o.Metrics[metric]
		if !ok || !finite(float64(m.Value)) {
			return nil, fmt.Errorf("%s: no %s", planned{trial: o.trial, Set: o.Set}, metric)
		}
		k := of{o.Set, o.Arm}
		at := once{o.trial, k}
		at.Site = ""
		if runs[k] == nil {
			order = append(order, k)
		}
		if values[at] == nil {
			runs[k] = append(runs[k], at)
		}
		values[at] = append(values[at], float64(m.Value))
	}
	for _, k := range order {
		s := armScore{Set: k.set, Arm: k.arm, N: len(runs[k])}
		var means, best, worst []float64
		for _, at := range runs[k] {
			one := isolatedOf(values[at], metric)
			means, best, worst = append(means, one.Mean), append(best, one.Best), append(worst, one.Worst)
		}
		all := isolatedOf(means, metric)
		s.Mean, s.SD, s.Best, s.Worst = all.Mean, deviation(means), all.Best, all.Worst
		if k.arm == armAlone && len(values[runs[k][0]]) > 1 {
			s.Best, s.Worst = mean(best), mean(worst)
		}
		s.BestVersion = bestVersions(done, k.set, k.arm, metric)
		rows = append(rows, s)
	}
	return rows, nil
}

// bestVersions is the mean over the trainings of a row of what their best versions have;
// nil where one has none. Each fold, seed and site left out has as many sites alone.
func bestVersions(done []outcome, set, arm, metric string) *float64 {
	var all []float64
	for _, o := range done {
		if o.Set != set || o.Arm != arm {
			continue
		}
		if o.Best == nil {
			return nil
		}
		m, ok := o.Best.Metrics[metric]
		if !ok || !finite(float64(m.Value)) {
			return nil
		}
		all = append(all, float64(m.Value))
	}
	m := mean(all)
	return &m
}

func mean(v []float64) (m float64) {
	for _, x := range v {
		m += x / float64(len(v))
	}
	return m
}

// deviation is the standard deviation of a sample, 0 of one value.
func deviation(v []float64) float64 {
	if len(v) < 2 {
		return 0
	}
	m, sum := mean(v), 0.0
	for _, x := range v {
		sum += (x - m) * (x - m)
	}
	return math.Sqrt(sum / float64(len(v)-1))
}

// armNames are what the ways to train are called.
var armNames = map[string]string{armAlone: "each site alone", armFederated: "federated", armCentral: "all rows in one place"}

func (b *baseline) print(rows []armScore, done []outcome, metric string) error {
	fmt.Fprintf(stdout, "%s: %s on the test rows of %s", b.agg.Tasks[b.task].Name, metric, b.judged())
	if !slices.ContainsFunc(done, func(o outcome) bool { return o.Rounds != done[0].Rounds }) {
		fmt.Fprintf(stdout, ", %d rounds", done[0].Rounds)
	}
	if n := rows[0].N; n > 1 {
		fmt.Fprintf(stdout, "; mean and standard deviation of %d", n)
	}
	fmt.Fprint(stdout, ".\n\n")
	others, err := writeScores(stdout, rows)
	if err != nil {
		return err
	}
	if g, ok := done[0].Guess[metric]; ok {
		fmt.Fprintf(stdout, "- The best constant guess has %.4g.\n", g)
	}
	if others {
		fmt.Fprintln(stdout, "- The first number is of the last model, after as many rounds for all. The best version is what a task ends with: its own sites chose it on their test rows.")
	}
	if said := bestSet(rows, metric); said != "" {
		fmt.Fprintf(stdout, "- %s\n", said)
	}
	for _, note := range b.notes() {
		fmt.Fprintf(stdout, "- %s\n", note)
	}
	return nil
}

// writeScores writes the table, and says whether best versions stand in it: in every row that
// has one, if that of some row is another than its last one.
func writeScores(w io.Writer, rows []armScore) (others bool, err error) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.DiscardEmptyColumns)
	others = slices.ContainsFunc(rows, armScore.otherBest)
	for _, r := range rows {
		sd, best := "", ""
		if r.N > 1 {
			sd = fmt.Sprintf("± %.4g", r.SD)
		}
		spread := ""
		if r.Best != r.Worst {
			spread = fmt.Sprintf("best %.4g, worst %.4g", r.Best, r.Worst)
		}
		if r.BestVersion != nil && others {
			best = fmt.Sprintf("best version %.4g", *r.BestVersion)
		}
		fmt.Fprintf(tw, "%s\t%s\t%.4g\t%s\t%s\t%s\n", r.Set, armNames[r.Arm], r.Mean, sd, spread, best)
	}
	return others, tw.Flush()
}

// judged says whose rows are judged on.
func (b *baseline) judged() string {
	switch {
	case b.Leave:
		return "the site that is left out"
	case b.Folds > 0:
		return fmt.Sprintf("all sites in %d folds", b.Folds)
	}
	return "all sites"
}

// unlike says what is judged where tensors stay at the sites.
func unlike(leave bool) string {
	const stay = "Some tensors stay at the sites (strategy.keep_local, share): "
	if leave {
		return stay + "federated is the site that is left out with those of the first model, as it has none of its own."
	}
	return stay + "federated is each site with its own, on its own test rows. Alone and in one place are one model each, on the test rows of all: another question. " +
		"Without these keys it is one."
}

// notes are what the numbers do not say.
func (b *baseline) notes() (list []string) {
	t := b.work[0].cfg.Tasks[0]
	if b.field.programs() && b.field.central == nil {
		list = append(list, "In one place: not trained, as programs read their rows themselves; --central FILE names a site's configuration that has the rows of all.")
	}
	if b.Folds > 0 && len(b.Group) == 0 {
		list = append(list, "Rows are dealt to the folds one by one, windows by their unit. Rows that belong together, such as those of one recording, want --group COLUMN.")
	}
	if b.Leave {
		list = append(list, "Alone: the site that is left out of the others, on its own training rows.")
	}
	if slices.ContainsFunc(b.work, func(p planned) bool { return p.Arm == armFederated && !p.cfg.Tasks[0].Locals.IsZero() }) {
		list = append(list, unlike(b.Leave))
	}
	if t.Sample < 1 && t.Sample > 0 || t.Goal > 0 {
		list = append(list, "sample and goal let chance decide which sites a round has: here the seed does, so that another run differs from this one as its own would.")
	}
	return list
}

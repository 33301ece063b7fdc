package aggregator

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// metrics pools what the members measured of the round's base: ratios of
// exact sums over the rows of those who report a metric, and beside them the
// best and the worst site.
func (t *task) metrics(work string) (record.Metrics, record.Measured) {
	pool, out := trainer.NewPooler(), record.Metrics{}
	var flat []string // members with rows of one class alone
	for _, p := range slices.Sorted(maps.Keys(t.sum.in)) {
		s := t.sum.in[p]
		e := s.evaluation()
		pool.Add(e)
		one := oneClass(e)
		for name, v := range s.scored() {
			if one && slices.Contains(ofClasses, name) {
				continue
			}
			out[name] = extend(out[name], name, p, v)
		}
		if one {
			flat = append(flat, p)
		}
	}
	t.addFlat(out, flat)
	pooled := pool.Pooled()
	for name := range out {
		if _, ok := pooled.Scores[name]; !ok { // beyond the curves that a task has
			delete(out, name)
		}
	}
	for name, s := range pooled.Scores {
		m, ok := out[name]
		if !ok { // nobody has a value: targets that are constant at each site
			m.Best, m.Worst = record.Number(math.NaN()), record.Number(math.NaN())
		}
		m.Value, m.Rows = record.Number(s.Value), record.Number(s.Rows)
		out[name] = m
	}
	if len(out) == 0 && (work == wire.WorkStatistics || work == round.WorkRollback) { // nobody was asked to measure
		return out, record.Measured{}
	}
	return out, t.judged(pooled)
}

// ofClasses are metrics that are a mean over the classes.
var ofClasses = []string{trainer.ScoreMacroF1, trainer.ScoreBalanced}

// addFlat takes members with rows of one class into these metrics: they are the best and the
// worst only where no other has a value.
func (t *task) addFlat(out record.Metrics, members []string) {
	for _, name := range ofClasses {
		told := out[name].Sites > 0
		for _, p := range members {
			v, ok := t.sum.in[p].scored()[name]
			if m := out[name]; ok && told {
				m.Sites++
				out[name] = m
			} else if ok {
				out[name] = extend(m, name, p, v)
			}
		}
	}
}

// oneClass reports that all rows that a site was judged on are of one class: a mean over the
// classes then says nothing of how well it tells them apart.
func oneClass(e trainer.Evaluation) bool {
	seen := 0
	for _, c := range trainer.Pool([]trainer.Evaluation{e}).Classes {
		if c.Rows > 0 {
			seen++
		}
	}
	return seen == 1
}

// judged is what a record says of pooled numbers beside them.
func (t *task) judged(p trainer.Pooled) record.Measured {
	m := record.Measured{Left: p.Left[:min(len(p.Left), record.MaxMetrics)]}
	var classes []string
	if c := t.state.Contract; c != nil {
		classes = c.Target.Classes
	}
	m.Shown, m.Note = p.Shown(t.cfg.Metric, classes)
	if t.cfg.Threshold != "" && len(p.Scores) > 0 {
		if at, err := p.Threshold(t.cfg.Threshold); err != nil {
			m.Note = fmt.Sprintf("threshold: %v", err)
		} else {
			m.Threshold = &record.Threshold{
				Class: at.Class, Value: record.Number(at.Value), Precision: record.Number(at.Precision), Recall: record.Number(at.Recall), F1: record.Number(at.F1),
				Sites: at.Sites, Scores: at.Scores,
			}
		}
	}
	for name, s := range p.Scores {
		if !math.IsNaN(s.Guess) {
			set(&m.Guess, name, s.Guess)
		}
		if s.Error > 0 {
			set(&m.Bounds, name, s.Error)
		}
	}
	if len(p.Classes) > record.MaxClasses {
		return m
	}
	for _, c := range p.Classes {
		m.Classes = append(m.Classes, record.Class{
			Class: c.Class, Rows: int64(c.Rows), Predicted: int64(c.Predicted), Correct: int64(c.Correct),
			AUC: record.Number(c.AUC), AUCError: record.Number(c.AUCError), AP: record.Number(c.AP), APError: record.Number(c.APError),
		})
	}
	for _, row := range p.Confusion {
		m.Confusion = append(m.Confusion, row)
	}
	return m
}

func set(v *record.Values, name string, x float64) {
	if *v == nil {
		*v = record.Values{}
	}
	(*v)[name] = x
}

// extend takes one site's value into a metric's best and worst; ties stay with
// the smaller path (algorithms A7).
func extend(m record.Metric, name, site string, v float64) record.Metric {
	x := record.Number(v)
	if m.Sites == 0 {
		return record.Metric{Sites: 1, Best: x, BestSite: site, Worst: x, WorstSite: site}
	}
	m.Sites++
	better, _ := trainer.Better(name)
	if better(v, float64(m.Best)) {
		m.Best, m.BestSite = x, site
	}
	if better(float64(m.Worst), v) {
		m.Worst, m.WorstSite = x, site
	}
	return m
}

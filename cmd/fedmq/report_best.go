package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// reportBest is the version that did best.
type reportBest struct {
	Metric, Value, Model string
	Version              uint64
	Trained              string // rounds of training behind it
	Round                uint64 // that has measured it
	Threshold            bool   // the value is with the threshold
	Last                 bool   // it is the model that the task ends with
}

// best says which version did best, or why that cannot be said.
func (src reportSource) best(p runPoint, ok bool) (b *reportBest, why string) {
	shown := src.run.metric()
	_, known := trainer.Better(shown)
	switch {
	case shown == "":
		return nil, "nothing was measured: no site has test rows"
	case !ok && !known:
		return nil, fmt.Sprintf("whether less or more of %s is better is not known (stop: {mode} says it)", shown)
	case !ok:
		return nil, "no trained version was measured by half of a cohort"
	}
	said, recs := bestIn(src.run.Records), src.run.Records
	return &reportBest{
		Metric: said.Metric, Value: numberText(said.Value), Model: shortHash(p.Record.Base), Threshold: withThreshold(p.Record, said.Metric),
		Version: said.Version, Trained: times(int(said.Trained), "round", "rounds"), Round: said.Round, Last: recs[len(recs)-1].Model == p.Record.Base,
	}, ""
}

// withThreshold reports whether a metric decides by its value with the threshold.
func withThreshold(r *record.Record, metric string) bool {
	if r.Threshold == nil {
		return false
	}
	_, ok := r.Threshold.Scores[metric]
	return ok
}

// reportScore is a metric: of the best version, of the one measured last, and what it
// is held against.
type reportScore struct {
	Name              string
	Best, Last, Bound string
	Lines             []string // by scoreLines; "" where there is none
}

// scoreLines are what metrics are held against, in the order of the page.
var scoreLines = []struct{ class, name string }{
	{"guess", "best constant guess"}, {"alone", armNames[armAlone]}, {"central", armNames[armCentral]},
}

// lines are, by metric, what its curve is held against.
func (src reportSource) lines(b *reportBaseline) map[string][]reportLine {
	out := map[string][]reportLine{}
	last := src.lastMeasured()
	if last == nil {
		return out
	}
	for name := range last.Metrics {
		for _, l := range scoreLines {
			v, ok := last.Guess[name]
			if l.class != "guess" {
				v, ok = b.value(l.class, name)
			}
			if ok && finite(v) {
				out[name] = append(out[name], reportLine{l.class, l.name, v})
			}
		}
	}
	return out
}

// scores are all metrics of the model that was measured last.
func (src reportSource) scores(best runPoint, ok bool, b *reportBaseline) (out []reportScore) {
	last := src.lastMeasured()
	if last == nil {
		return nil
	}
	lines := src.lines(b)
	for _, name := range shownFirst(src.run.metric(), slices.Collect(maps.Keys(last.Metrics))) {
		if name == trainer.SumN {
			continue
		}
		s := reportScore{Name: name, Last: numberText(float64(last.Metrics[name].Value)), Lines: make([]string, len(scoreLines))}
		if ok {
			if m, has := best.Record.Metrics[name]; has {
				s.Best = numberText(float64(m.Value))
			}
		}
		if v, has := last.Bounds[name]; has {
			s.Bound = "± " + fmt.Sprintf("%.2g", v)
		}
		for i, l := range scoreLines {
			for _, x := range lines[name] {
				if x.Class == l.class {
					s.Lines[i] = x.Text()
				}
			}
		}
		out = append(out, s)
	}
	return out
}

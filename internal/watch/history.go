package watch

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/view"
)

// maxPoints bounds the numbers kept of all sites together; a site keeps at
// most MaxRounds of each metric, at least sitePoints in all.
const (
	maxPoints  = 1 << 20
	sitePoints = 32
)

// round is one record's line in the history.
type round struct {
	RoundView
	seq   uint64
	stale bool // a site has measured since the spread was summed up
}

// point is one number of one site.
type point struct {
	round uint64
	name  string
	value float64
}

// entry returns the history's line of a round and attempt, in order, new if it
// is not older than everything kept.
func (f *Federation) entry(t *task, number, attempt uint64) *round {
	at, ok := slices.BinarySearchFunc(t.rounds, RoundView{Round: number, Attempt: attempt}, func(r *round, w RoundView) int {
		return cmp.Or(cmp.Compare(r.Round, w.Round), cmp.Compare(r.Attempt, w.Attempt))
	})
	if !ok {
		if at == 0 && len(t.rounds) >= MaxRounds {
			return nil
		}
		t.rounds = slices.Insert(t.rounds, at, &round{RoundView: RoundView{Round: number, Attempt: attempt, SeenMS: f.now}})
		if len(t.rounds) > MaxRounds {
			t.rounds = slices.Delete(t.rounds, 0, 1)
			at--
		}
	}
	r := t.rounds[at]
	r.seq = f.touch()
	t.seq = r.seq
	return r
}

// last takes in what the round's view says of the last record.
func (f *Federation) last(t *task, l view.Summary) {
	if l.Verdict == "" || l.Work == "init" {
		return
	}
	if l.Shown != "" {
		t.view.Shown, t.view.Guess = clip(l.Shown, maxName), clipNames(l.Guess)
	}
	metrics := clipNames(l.Metrics)
	if r := t.find(l.Round, uint64(l.Attempt)); r != nil && r.Seconds == l.Seconds && r.has(metrics) {
		return
	}
	r := f.entry(t, l.Round, uint64(l.Attempt))
	if r == nil {
		return
	}
	r.Work, r.Verdict, r.Reason = clip(l.Work, maxWord), clip(l.Verdict, maxWord), clip(l.Reason, maxText)
	r.Counted, r.Kept, r.Members, r.Seconds, r.Metrics = l.Counted, l.Kept, l.Members, l.Seconds, metrics
	f.spread(t, r)
	f.gather(t)
}

// has reports whether the line has these numbers, perhaps beside others.
func (r *round) has(metrics map[string]float64) bool {
	for name, v := range metrics {
		if w, ok := r.Metrics[name]; !ok || w != v {
			return false
		}
	}
	return true
}

func (t *task) find(number, attempt uint64) *round {
	for i := len(t.rounds) - 1; i >= 0; i-- {
		if r := t.rounds[i]; r.Round == number && r.Attempt == attempt {
			return r
		}
	}
	return nil
}

var errNumber = errors.New("watch: no number")

// kpis collects the numbers of one record: they bear the same time, and one of
// them is the round.
type kpis struct {
	at     int64
	values map[string]float64
}

func (f *Federation) kpi(t *task, name string, m Message) error {
	if len(m.Payload) == 0 {
		return nil
	}
	var j kpiJSON
	if err := json.Unmarshal(m.Payload, &j); err != nil || j.Value == nil {
		return errNumber
	}
	k := &t.kpis
	if j.TimestampMS < k.at {
		return nil // of an older record
	}
	if j.TimestampMS > k.at || k.values == nil {
		k.at, k.values = j.TimestampMS, map[string]float64{}
	}
	if _, had := k.values[name]; had || len(k.values) < MaxMetrics {
		k.values[name] = *j.Value
	}
	f.gather(t)
	return nil
}

// gather writes the numbers into the line of their round, once it is known.
func (f *Federation) gather(t *task) {
	k := &t.kpis
	number, ok := k.values["round"]
	if !ok || number < 1 || number > 1<<53 {
		return
	}
	r := t.latest(uint64(number))
	if r == nil {
		return // its record or its view comes as well
	}
	was := r.RoundView
	r.Metrics = maps.Clone(r.Metrics)
	for name, v := range k.values {
		switch name {
		case "round", "sites":
		case "round_seconds":
			r.Seconds = v
		case "bytes_up":
			r.BytesUp = v
		case "bytes_down":
			r.BytesDown = v
		default:
			if r.Metrics == nil {
				r.Metrics = map[string]float64{}
			}
			if len(r.Metrics) < MaxMetrics {
				r.Metrics[name] = v
			}
		}
	}
	if r.Seconds != was.Seconds || r.BytesUp != was.BytesUp || r.BytesDown != was.BytesDown || !sameNumbers(r.Metrics, was.Metrics) {
		r.seq = f.touch()
		t.seq = r.seq
		f.spread(t, r)
	}
}

// measured keeps the numbers of a site's last evaluation.
func (f *Federation) measured(s *site) {
	for _, name := range slices.Sorted(maps.Keys(s.view.Metrics)) {
		f.points++
		s.history = append(s.history, point{s.view.MetricsRound, name, s.view.Metrics[name]})
	}
	share := max(maxPoints/max(len(f.list), 1), sitePoints)
	if over := len(s.history) - min(share, MaxRounds*len(s.view.Metrics)); over > 0 {
		s.history = slices.Delete(s.history, 0, over)
		f.points -= over
	}
	if r := s.task.latest(s.view.MetricsRound); r != nil && r.Metrics != nil {
		r.stale = true
	}
}

// latest is the last attempt of a round.
func (t *task) latest(number uint64) *round {
	for i := len(t.rounds) - 1; i >= 0 && t.rounds[i].Round >= number; i-- {
		if t.rounds[i].Round == number {
			return t.rounds[i]
		}
	}
	return nil
}

// spread sums up what the sites themselves measured in a round: least, lower
// quarter, middle, upper quarter, greatest, for each of the round's metrics.
func (f *Federation) spread(t *task, r *round) {
	all := map[string][]float64{}
	for _, s := range f.list {
		if s.task != t || s.view.MetricsRound != r.Round {
			continue
		}
		for name := range r.Metrics {
			if v, ok := s.view.Metrics[name]; ok {
				all[name] = append(all[name], v)
			}
		}
	}
	r.stale = false
	r.Spread = map[string][5]float64{}
	for name, v := range all {
		if len(v) < 2 {
			continue
		}
		slices.Sort(v)
		last := len(v) - 1
		r.Spread[name] = [5]float64{v[0], v[last/4], v[last/2], v[3*last/4], v[last]}
	}
}

// Site returns the history of one site: for each metric its rounds and values.
func (f *Federation) Site(task, path string) (map[string]SeriesView, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sites[siteKey{task, path}]
	if s == nil {
		return nil, false
	}
	out := map[string]SeriesView{}
	for _, p := range s.history {
		v := out[p.name]
		v.Rounds, v.Values = append(v.Rounds, p.round), append(v.Values, p.value)
		out[p.name] = v
	}
	return out, true
}

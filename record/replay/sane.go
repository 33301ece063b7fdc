package replay

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
)

// workInit is the work of the genesis, and of an adoption.
const workInit = "init"

// sane reports what the numbers of a record cannot be (RC-20).
func (p *Replay) sane(r record.Record) error {
	work := strategy.WorkOf(r.Work)
	if work.Keeps && r.Verdict == record.Committed && r.Model != r.Base {
		return differ("an %s round keeps its base, %s, but has the model %s", r.Work, r.Base, r.Model)
	}
	if r.Work == record.WorkRollback && r.Verdict == record.Committed {
		if was, ok := p.left[*r.Rollback]; !ok || was.ids == r.IDs && was != (left{r.Model, r.State, r.IDs}) {
			return differ("the rollback to version %d has the model %q and the state %q, which are not that version's", *r.Rollback, r.Model, r.State)
		}
	}
	same := r.Work == record.WorkRollback || r.State == p.state.id || p.changes(r) && !r.State.IsZero() && !p.state.id.IsZero()
	if r.Verdict != record.Abandoned && !work.Weighs && !same {
		return differ("the state is %q after a round of %s, before it was %q", r.State, r.Work, p.state.id)
	}
	if err := strategySane(r); err != nil {
		return err
	}
	late, err := p.late(r)
	if err != nil {
		return err
	}
	here := map[uint32]string{}
	total := uint64(0)
	for _, e := range r.Entries {
		if other, twice := here[e.Index]; twice {
			return ofMember(differ("index %d is also that of %s", e.Index, other), e.Member)
		}
		here[e.Index] = e.Member
		if err := ofMember(cmp.Or(p.entrySane(r, e), p.staleSane(r, e, late)), e.Member); err != nil {
			return err
		}
		if e.Verdict == verdict.Counted {
			total += e.Weight
		}
	}
	if work.Weighs && total > 1<<r.Strategy.GridW {
		return differ("the weights sum up to %d, more than the grid's 2^%d", total, r.Strategy.GridW)
	}
	return cmp.Or(metricsSane(r), p.bestSane(r))
}

// bestSane holds the best version against what was measured: it is the base of this
// round, or as it was before.
func (p *Replay) bestSane(r record.Record) error {
	had, b := p.best, r.Best
	if r.Verdict != record.Committed {
		return nil
	}
	if p.best = b; b == nil {
		if had != nil && r.Work != record.WorkRollback {
			return differ("no version is the best, before it was version %d", had.Version)
		}
		return nil
	}
	if b.Round != r.Round {
		if had != nil && *had != *b {
			return differ("version %d, measured in round %d, is the best; before it was version %d, of round %d", b.Version, b.Round, had.Version, had.Round)
		}
		return nil
	}
	if p.newest.Version != b.Version {
		return differ("version %d is said to be measured, but the round's base is version %d", b.Version, p.newest.Version)
	}
	if v, _, ok := r.Of(b.Metric); !ok || v != b.Value {
		return differ("the best version is said to have %s %v, which was not measured", b.Metric, b.Value)
	}
	return nil
}

// strategySane checks how the record says that updates were folded.
func strategySane(r record.Record) error {
	s := r.Strategy
	if !strategy.WorkOf(r.Work).Weighs {
		if !s.IsZero() {
			return differ("a round of %s names the strategy %q", r.Work, s.Name)
		}
		return nil
	}
	switch {
	case fold.Grid{B: s.GridB, W: s.GridW}.Check() != nil:
		return differ("the grid b %d, w %d is none", s.GridB, s.GridW)
	case s.Cap < 1 || s.Cap > fold.MaxWeight:
		return differ("the cap is %d, want 1 to %d", s.Cap, fold.MaxWeight)
	case !round.Weights(s.Weights).Valid():
		return differ("weights %q, want samples, uniform or sqrt", s.Weights)
	}
	return nil
}

// entrySane checks one entry. Indices last as long as the task (RC-6).
func (p *Replay) entrySane(r record.Record, e record.Entry) error {
	if had, ok := p.index[e.Member]; ok && had != e.Index {
		return differ("index %d, in an earlier record %d", e.Index, had)
	}
	if had, ok := p.member[e.Index]; ok && had != e.Member {
		return differ("index %d is in an earlier record that of %s", e.Index, had)
	}
	p.index[e.Member], p.member[e.Index] = e.Index, e.Member
	counted := e.Verdict == verdict.Counted
	if e.Weight == 0 && !counted {
		return nil
	}
	want := uint64(1)
	if strategy.WorkOf(r.Work).Weighs {
		want = round.Weights(r.Strategy.Weights).Weigh(e.Samples, r.Strategy.Cap)
	}
	switch {
	case e.Weight != want:
		return differ("weight %d of %d samples, want %d by weights %q with the cap %d", e.Weight, e.Samples, want, r.Strategy.Weights, r.Strategy.Cap)
	case counted && e.Weight == 0:
		return differ("counted with the weight 0")
	}
	return nil
}

// late is how many versions updates of a round may be behind.
func (p *Replay) late(r record.Record) (most uint64, err error) {
	if !strategy.WorkOf(r.Work).Weighs {
		return 0, nil
	}
	l, err := p.cfg.Strategies.Late(strategy.Setup{Strategy: r.Strategy.Name, Params: strategy.Settings(r.Strategy.Params)})
	switch {
	case errors.Is(err, strategy.ErrUnknown): // whoever folds says so; the chain alone needs it not
		return strategy.MostLate, nil
	case err != nil:
		return 0, differ("%v", err)
	}
	return l.Most, nil
}

// staleSane checks how far an update was behind: no further than the round takes,
// and made for a later round than what counted of its member before.
func (p *Replay) staleSane(r record.Record, e record.Entry, most uint64) error {
	if e.Staleness > most || e.Staleness >= max(r.Round, 1) {
		return differ("its staleness is %d in round %d, want at most %d", e.Staleness, r.Round, most)
	}
	if most == 0 || e.Verdict != verdict.Counted {
		return nil
	}
	of, before := r.Round-e.Staleness, p.latest[e.Member]
	if of <= before {
		return differ("its update of round %d counts, after one of round %d", of, before)
	}
	p.latest[e.Member] = of
	return nil
}

// metricsSane holds the best and the worst site of each metric against the
// entries.
func metricsSane(r record.Record) error {
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		m, sites := r.Metrics[name], 0
		for _, e := range r.Entries {
			if _, ok := e.Metrics[name]; ok {
				sites++
			}
		}
		if m.Sites == 0 && math.IsNaN(float64(m.Best)) && math.IsNaN(float64(m.Worst)) {
			continue // sites of one row each have no r2, all rows together may have one
		}
		if m.Sites > sites {
			return differ("metric %s is of %d sites, but %d entries have it", name, m.Sites, sites)
		}
		if err := siteSane(r, name, m.BestSite, m.Best); err != nil {
			return err
		}
		if err := siteSane(r, name, m.WorstSite, m.Worst); err != nil {
			return err
		}
	}
	return nil
}

func siteSane(r record.Record, name, site string, value record.Number) error {
	for _, e := range r.Entries {
		if v, ok := e.Metrics[name]; ok && e.Member == site && record.Number(v) == value {
			return nil
		}
	}
	return ofMember(differ("metric %s says %v of it, its entry does not", name, value), site)
}

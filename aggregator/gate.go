package aggregator

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// Release is the gate before the lines: a version takes the place of the released one
// only if sites that measured both on the same rows say that it is better.
type Release struct {
	MinGain     float64       // by which the pooled value is better, 0 and up; 0: by anything
	MaxSiteLoss *float64      // share of its value that a site may lose, 0 to 1; default 0.05
	Hold        int           // evaluations in a row that pass, 1 to 1000; default 1
	HoldFor     time.Duration // and so long after the first of them
	Approve     Approve       // default ApproveManual
}

// Approve says who releases what has passed the gate.
type Approve string

// The values of Release.Approve.
const (
	ApproveManual Approve = "manual" // an operator, by the command release
	ApproveAuto   Approve = "auto"   // the aggregator, at once
)

const (
	maxHold     = 1000
	defaultLoss = 0.05
)

func (g Release) withDefaults() *Release {
	setDefault(&g.Hold, 1)
	setDefault(&g.Approve, ApproveManual)
	if g.MaxSiteLoss == nil {
		g.MaxSiteLoss = new(defaultLoss)
	}
	return &g
}

// rule is what the round machine needs of it.
func (g *Release) rule(keep int) *round.Gate {
	if g == nil {
		return nil
	}
	return &round.Gate{Hold: g.Hold, HoldMS: g.HoldFor.Milliseconds(), Auto: g.Approve == ApproveAuto, Keep: keep}
}

// problem says what of the settings cannot be used; "" if nothing.
func (g *Release) problem() string {
	switch {
	case g == nil:
	case !(g.MinGain >= 0) || math.IsInf(g.MinGain, 0):
		return fmt.Sprintf("release.min_gain: %v, want 0 or more", g.MinGain)
	case !(*g.MaxSiteLoss >= 0 && *g.MaxSiteLoss <= 1):
		return fmt.Sprintf("release.max_site_loss: %v, want a share of 0 to 1, as in 0.05", *g.MaxSiteLoss)
	case g.Hold < 1 || g.Hold > maxHold:
		return fmt.Sprintf("release.hold: %d, want 1 to %d evaluations", g.Hold, maxHold)
	case g.HoldFor < 0:
		return fmt.Sprintf("release.hold_for: %s, want 0 or more", g.HoldFor)
	case g.Approve != ApproveManual && g.Approve != ApproveAuto:
		return fmt.Sprintf("release.approve: %q, want manual or auto", g.Approve)
	}
	return ""
}

// evaluations are what members measured of one version.
type evaluations map[string]measured

// measured is what the members have measured of the base of the round at hand.
func (t *task) measured() evaluations {
	e := make(evaluations, len(t.sum.in))
	for p, st := range t.sum.in {
		e[p] = st.measured
	}
	return e
}

// tried holds the base of a round that closes against the released version, over the
// members that have measured both on as many rows. Nil: there is no gate, nothing decides,
// or the base is what is released.
func (t *task) tried(s *round.Score) *round.Tried {
	r := t.state.Released
	if t.cfg.Release == nil || s == nil || t.state.Trained == 0 || r != nil && r.Model == t.state.Base {
		return nil
	}
	return t.beside(s, len(t.state.Cohort), t.measured())
}

// beside holds what members have measured of a version against what they have of the
// released one; asked are so many members.
func (t *task) beside(s *round.Score, asked int, now evaluations) *round.Tried {
	r := t.state.Released
	if r == nil {
		return &round.Tried{Passed: true, Why: "nothing is released before it"}
	}
	before, known := t.evaluated[r.Version]
	if !known { // it was released when there was no gate: a person decides
		manual := t.cfg.Release.Approve == ApproveManual
		return &round.Tried{Passed: manual, Why: fmt.Sprintf("version %d, which is released, was not measured for the gate; with approve: manual an operator may release another", r.Version)}
	}
	passed, why := t.holds(s, asked, now, before)
	return &round.Tried{Passed: passed, Why: fmt.Sprintf("beside version %d: %s", r.Version, why)}
}

func (t *task) holds(s *round.Score, asked int, after, before evaluations) (passed bool, why string) {
	var both []string
	was, is := trainer.NewPooler(), trainer.NewPooler()
	for _, p := range slices.Sorted(maps.Keys(after)) {
		then, now := before[p].evaluation(), after[p].evaluation()
		if n := now.Metrics[trainer.SumN]; n > 0 && n == then.Metrics[trainer.SumN] {
			both = append(both, p)
			was.Add(then)
			is.Add(now)
		}
	}
	if 2*len(both) < asked || len(both) == 0 {
		return false, fmt.Sprintf("%d of %d sites have measured both on as many rows, want half", len(both), asked)
	}
	then, ok := t.of(was.Pooled(), s.Metric)
	now, has := t.of(is.Pooled(), s.Metric)
	if !ok || !has {
		return false, fmt.Sprintf("these sites have no %s of both", s.Metric)
	}
	score := *s
	score.Value = now
	if gain := score.Gain(then); gain < t.cfg.Release.MinGain || gain <= 0 {
		return false, fmt.Sprintf("%s %.6g after %.6g, want it better by %v", s.Metric, now, then, t.cfg.Release.MinGain)
	}
	if site, loss := t.loser(score, both, after, before); loss > *t.cfg.Release.MaxSiteLoss {
		return false, fmt.Sprintf("%s loses %.3g %% of its %s, max_site_loss is %.3g %%", site, 100*loss, s.Metric, 100**t.cfg.Release.MaxSiteLoss)
	}
	return true, fmt.Sprintf("%s %.6g after %.6g, at %d sites", s.Metric, now, then, len(both))
}

// of is a pooled metric, with the threshold where that decides.
func (t *task) of(p trainer.Pooled, metric string) (v float64, ok bool) {
	if t.cfg.Threshold != "" {
		if at, err := p.Threshold(t.cfg.Threshold); err == nil {
			if v, ok := at.Scores[metric]; ok {
				return v, true
			}
		}
	}
	s, ok := p.Scores[metric]
	return s.Value, ok && !math.IsNaN(s.Value)
}

// loser is the site that loses most of its own value, and the share of it. A site that has
// none of both loses nothing.
func (t *task) loser(s round.Score, both []string, after, before evaluations) (site string, most float64) {
	for _, p := range both {
		then, ok := before[p].evaluation().Scores()[s.Metric]
		now, has := after[p].evaluation().Scores()[s.Metric]
		if !ok || !has {
			continue
		}
		s.Value = now
		loss := -s.Gain(then)
		if loss > 0 {
			loss /= math.Abs(then) // of 0 any loss is without end
		}
		if site == "" || loss > most {
			site, most = p, loss
		}
	}
	return site, most
}

func (t *task) evaluatedPrefix() string { return store.Key(t.cfg.Name, "evaluated\x00") }

func (t *task) evaluatedKey(version uint64) string {
	return t.evaluatedPrefix() + string(binary.BigEndian.AppendUint64(nil, version))
}

// saveEvaluated keeps what members measured of the versions that others may be held
// against, and of those that may be released.
func (t *task) saveEvaluated(tx *store.Tx, s owner.Save) error {
	if t.cfg.Release == nil || s.State == nil {
		return nil
	}
	held := slices.Concat(heldOf(s.State), s.State.Passed, s.State.InRow)
	for v := range t.evaluated {
		if slices.Contains(held, v) {
			continue
		}
		delete(t.evaluated, v)
		if err := tx.Delete(store.Task, t.evaluatedKey(v)); err != nil {
			return err
		}
	}
	v := t.state.Version // the base, which the round has measured
	if !s.Committed || !slices.Contains(held, v) {
		return nil
	}
	t.evaluated[v] = t.measured()
	return put(tx, t.evaluatedKey(v), t.evaluated[v])
}

func (t *task) loadEvaluated() error {
	t.evaluated = map[uint64]evaluations{}
	prefix := t.evaluatedPrefix()
	return t.a.store.View(func(tx *store.Tx) error {
		err := tx.ForEach(store.Task, prefix, func(key string, raw []byte) error {
			if len(key) != len(prefix)+8 {
				return fmt.Errorf("key %q of what members have measured: want 8 bytes after the prefix", key)
			}
			var e evaluations
			if err := json.Unmarshal(raw, &e); err != nil {
				return err
			}
			t.evaluated[binary.BigEndian.Uint64([]byte(key[len(prefix):]))] = e
			return nil
		})
		if err != nil || len(t.evaluated) > 0 {
			return err
		}
		raw, err := tx.Get(store.Task, store.Key(t.cfg.Name, "evaluated")) // of an earlier version, all in one
		if err != nil || raw == nil {
			return err
		}
		return json.Unmarshal(raw, &t.evaluated)
	})
}

// versionOf is a version that is on the disk; the zero one if it is not.
func (k *keeping) versionOf(number uint64) version {
	for _, v := range k.versions {
		if v.number == number {
			return v
		}
	}
	return version{}
}

// gateOf is what a record says of the gate.
func gateOf(s *round.Score, version uint64) *record.Gate {
	if s == nil || s.Tried == nil {
		return nil
	}
	return &record.Gate{Version: version, Passed: s.Tried.Passed, Why: s.Tried.Why}
}

package round

import (
	"fmt"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Stop ends the training when Patience models in a row are not better than the best
// one before them (algorithms, section 11; R-52).
type Stop struct {
	Patience int     // models measured; at least 1
	MinDelta float64 // by which a better one beats the best; 0: by anything
}

// Score is what a model came to on the rows of all sites.
type Score struct {
	Metric  string
	Value   float64 // of the metric that decides
	Less    bool    // a smaller one is better
	Near    bool    // one nearer to 0 is better; Less says nothing
	Members int     // that took part in it
	Tried   *Tried  // nil: nothing was held against the released version
	Canary  *Tried  // likewise, where the canary runs; nil: none runs, or nothing decides
}

// Best is the model that did best so far. It is not changed.
type Best struct {
	Version uint64     `json:"version"`
	Trained uint64     `json:"trained"` // rounds of training behind it
	Round   uint64     `json:"round"`   // that has measured it
	Metric  string     `json:"metric"`
	Model   model.Hash `json:"model"`
	Value   float64    `json:"value"`
}

// Judge returns the best model once the base of the round that closes came to a score:
// the base, if it takes the place of the one so far. A model that nobody has trained is
// none, and what fewer than half of the cohort have measured decides nothing.
func (m *Machine) Judge(s *Score) *Best {
	if !m.decides(s) {
		return m.s.Best
	}
	var delta float64
	if m.cfg.Stop != nil {
		delta = m.cfg.Stop.MinDelta
	}
	if b := m.s.Best; b != nil && b.Metric == s.Metric && !s.beats(b.Value, delta) {
		return b
	}
	return &Best{Version: m.s.Version, Trained: m.s.Trained, Round: m.s.Round, Metric: s.Metric, Model: m.s.Base, Value: s.Value}
}

func (m *Machine) counts(s *Score) bool {
	return s != nil && m.s.Trained > 0 && 2*s.Members >= len(m.s.Cohort)
}

// decides reports whether a score can be held against others for which version is the best:
// of asynchronous training only what all of the cohort have measured, as it is mostly the
// fast ones who are in time.
func (m *Machine) decides(s *Score) bool {
	return m.counts(s) && (m.s.Params == nil || m.s.Params.Late == 0 || s.Members >= len(m.s.Cohort))
}

// measure takes in what the round's base came to.
func (m *Machine) measure(s *Score) {
	if !m.decides(s) {
		return
	}
	if b := m.Judge(s); b != m.s.Best {
		m.s.Best, m.s.Stale = b, 0
		return
	}
	if m.s.Worked == wire.WorkTrain { // else the model was measured before
		m.s.Stale++
	}
	if m.cfg.Stop != nil && m.s.Stale >= m.cfg.Stop.Patience && !m.s.Enough {
		m.s.Enough = true
		m.tell(Fact{Kind: FactEarlyStop, Count: m.s.Stale, Detail: fmt.Sprintf("version %d is the best, %s %v", m.s.Best.Version, s.Metric, m.s.Best.Value)})
	}
}

// beats reports whether the score is better than best, by delta at least.
func (s *Score) beats(best, delta float64) bool {
	gain := s.Gain(best)
	return gain > 0 && gain >= delta
}

// Gain is by how much the score is better than another value, below 0 if it is worse.
func (s *Score) Gain(best float64) float64 {
	gain := s.Value - best
	switch {
	case s.Near:
		gain = max(best, -best) - max(s.Value, -s.Value)
	case s.Less:
		gain = -gain
	}
	return gain
}

// count fills in what states of versions that did not count lack: there, every
// round but a first one for statistics and a last one that only measures is of
// training.
func (s *State) count(c Config) {
	if s.Version == 0 || s.Worked != "" {
		return
	}
	s.Trained, s.Worked = s.Version, wire.WorkTrain
	if c.Statistics {
		s.Trained--
	}
	if s.Finished && s.Trained > 0 {
		s.Trained, s.Worked = s.Trained-1, wire.WorkEvaluate
	}
	if s.Trained == 0 {
		s.Worked = wire.WorkStatistics
	}
}

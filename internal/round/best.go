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
	Members int     // that took part in it
}

// Best is the model that did best so far.
type Best struct {
	Version uint64     `json:"version"`
	Metric  string     `json:"metric"`
	Model   model.Hash `json:"model"`
	Value   float64    `json:"value"`
}

// measure takes in what the round's base came to. A model that nobody has trained is
// no best one, and what fewer than half of the cohort have measured decides nothing.
func (m *Machine) measure(s *Score) {
	if s == nil || m.s.Trained == 0 || 2*s.Members < len(m.s.Cohort) {
		return
	}
	var delta float64
	if m.cfg.Stop != nil {
		delta = m.cfg.Stop.MinDelta
	}
	if b := m.s.Best; b == nil || b.Metric != s.Metric || s.beats(b.Value, delta) {
		m.s.Best, m.s.Stale = &Best{Version: m.s.Version, Metric: s.Metric, Model: m.s.Base, Value: s.Value}, 0
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
	gain := s.Value - best
	if s.Less {
		gain = -gain
	}
	return gain > 0 && gain >= delta
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

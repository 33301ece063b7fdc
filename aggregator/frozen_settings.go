package aggregator

import (
	"bytes"
	"encoding/json"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/strategy"
)

func (t *task) settingsKey() string { return store.Key(t.cfg.Name, "settings") }

// of reports whether s are those of the open round.
func (s settings) of(st *round.State) bool {
	return st.Params != nil && s.Round == st.Round && s.From == st.Params.From
}

// saveSettings freezes the configured settings when a round gets its first
// order, or begins again.
func (t *task) saveSettings(tx *store.Tx, s *round.State) error {
	if s.Params == nil || t.settings.of(s) {
		return nil
	}
	if t.settings.Round == s.Round && s.Params.Work != round.WorkRollback {
		t.log.Info().Uint64("round", s.Round).Uint32("attempt", s.Params.From).Msg("the round begins again, with the settings of now")
	}
	t.settings = t.settingsAfter(s)
	t.settings.From = s.Params.From
	raw, err := json.Marshal(t.settings)
	if err != nil {
		return err
	}
	return tx.Put(store.Task, t.settingsKey(), raw)
}

// loadSettings takes up those of a round that was open when the process ended, and
// reports whether it would be ordered with others now: settings, or a way to fold.
func (t *task) loadSettings(fold round.Folding) (others bool, err error) {
	now := t.settingsAfter(t.state)
	t.settings = now
	t.settings.Round = 0 // of none yet
	err = t.a.store.View(func(tx *store.Tx) error {
		raw, err := tx.Get(store.Task, t.settingsKey())
		if err != nil || raw == nil {
			return err
		}
		var s settings
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		t.compare(s)
		if s.of(t.state) {
			t.settings, now.From = s, s.From
			others = !same(s, now) || !sameFold(*t.state.Params, fold)
		}
		return nil
	})
	return others, err
}

// same reports whether two values are the same as JSON.
func same(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(x, y)
}

// sameFold holds what a round is folded by against the configuration. Thresholds are
// neither's: they follow the updates.
func sameFold(p round.Params, now round.Folding) bool {
	p.Thresholds, now.Thresholds = nil, nil
	return p.Work != strategy.Train || same(p.Folding, now)
}

// compare tells which settings are not those of the last round that was ordered: an
// open round keeps its own, the next one has those of the configuration.
func (t *task) compare(last settings) {
	const when = "the configuration has another one than that round was ordered with; it counts from the next round on, and where that round begins again"
	if last.Seed != t.cfg.Seed {
		t.log.Warn().Uint64("last", last.Seed).Uint64("configured", t.cfg.Seed).Uint64("round", last.Round).Msg("seed: " + when)
	}
	if is := t.encoding(); last.Encoding != is {
		t.log.Warn().Str("last", last.Encoding).Str("configured", is).Uint64("round", last.Round).Msg("encoding: " + when)
	}
	was := last.Train
	if last.Configured != nil {
		was = last.Configured
	}
	var train bytes.Buffer // as it is on disk
	if err := json.Compact(&train, t.cfg.Train); err == nil && !bytes.Equal(was, train.Bytes()) {
		t.log.Warn().RawJSON("last", was).RawJSON("configured", train.Bytes()).Uint64("round", last.Round).
			Msg("train: the configuration has other settings than that round was ordered with; they count from the next round on, and where that round begins again")
	}
}

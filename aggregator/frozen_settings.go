package aggregator

import (
	"bytes"
	"encoding/json"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
)

func (t *task) settingsKey() string { return store.Key(t.cfg.Name, "settings") }

// saveSettings freezes the configured settings when a round gets its first
// order.
func (t *task) saveSettings(tx *store.Tx, s *round.State) error {
	if s.Params == nil || t.settings.Round == s.Round {
		return nil
	}
	t.settings = t.settingsAfter(s)
	raw, err := json.Marshal(t.settings)
	if err != nil {
		return err
	}
	return tx.Put(store.Task, t.settingsKey(), raw)
}

// loadSettings takes up those of a round that was open when the process ended.
func (t *task) loadSettings() error {
	t.settings = t.settingsAfter(t.state)
	t.settings.Round = 0 // of none yet
	return t.a.store.View(func(tx *store.Tx) error {
		raw, err := tx.Get(store.Task, t.settingsKey())
		if err != nil || raw == nil {
			return err
		}
		var s settings
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		t.compare(s)
		if t.state.Params != nil && s.Round == t.state.Round {
			t.settings = s
		}
		return nil
	})
}

// compare tells which settings are not those of the last round that was ordered: an
// open round keeps its own, the next one has those of the configuration.
func (t *task) compare(last settings) {
	if last.Seed != t.cfg.Seed {
		t.log.Warn().Uint64("last", last.Seed).Uint64("configured", t.cfg.Seed).Uint64("round", last.Round).
			Msg("seed: the configuration has another one than that round was ordered with; it counts from the next round on")
	}
	if is := t.encoding(); last.Encoding != is {
		t.log.Warn().Str("last", last.Encoding).Str("configured", is).Uint64("round", last.Round).
			Msg("encoding: the configuration has another one than that round was ordered with; it counts from the next round on")
	}
	was := last.Train
	if last.Configured != nil {
		was = last.Configured
	}
	var train bytes.Buffer // as it is on disk
	if err := json.Compact(&train, t.cfg.Train); err == nil && !bytes.Equal(was, train.Bytes()) {
		t.log.Warn().RawJSON("last", was).RawJSON("configured", train.Bytes()).Uint64("round", last.Round).
			Msg("train: the configuration has other settings than that round was ordered with; they count from the next round on")
	}
}

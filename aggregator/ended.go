package aggregator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
)

// Ended says which tasks have begun in the data directory of c, and whether they
// have ended: whether Run would find nothing to do with the settings of c. Fewer
// rounds than were made are an error, where Run ends the task. It reads only; while an aggregator runs there, the error says so.
func Ended(c Config) (begun map[string]bool, err error) {
	c = c.withDefaults()
	begun = map[string]bool{}
	a, err := store.OpenArchive(c.DataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return begun, nil
	case errors.Is(err, store.ErrLocked):
		return nil, fmt.Errorf("data_dir: another process works in %s: %w", c.DataDir, err)
	case err != nil:
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	for _, cfg := range c.Tasks {
		raw, err := a.State(cfg.Name)
		if err != nil {
			return nil, err
		}
		if raw == nil {
			continue
		}
		var st round.State
		if err := json.Unmarshal(raw, &st); err != nil {
			return nil, fmt.Errorf("task %s: state on disk: %w", cfg.Name, err)
		}
		if begun[cfg.Name], err = ended(c, cfg, st); err != nil {
			return nil, fmt.Errorf("task %s: %w", cfg.Name, err)
		}
	}
	return begun, nil
}

// ended asks the machine itself, as it would begin.
func ended(c Config, cfg Task, st round.State) (bool, error) {
	t := &task{a: &aggregator{cfg: c}, cfg: cfg, schema: cfg.Init.Schema.Hash()}
	if err := t.parseMembers(); err != nil {
		return false, err
	}
	st.Cohort = nil // of members, who decide nothing here
	m := round.New(t.roundConfig(), &st, nil, nil)
	if made := m.State().Trained; cfg.Rounds < made {
		return false, fmt.Errorf("rounds: %d, and %d rounds of training were made: want %d or more", cfg.Rounds, made, made)
	}
	m.Step(0, round.Started{})
	return m.State().Finished, nil
}

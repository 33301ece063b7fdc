package aggregator

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/near"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
)

// Schedule is how a number of Task.Train changes from one round of training to the next.
type Schedule struct {
	Decay float64 // what the setting is multiplied by; above 0, at most 10
	Every uint64  // after so many rounds of training each time; default 1
}

// settingsFor is what sites train with in the round of training after so many, and what
// of it is not as the configuration has it: first its schedule, then what an operator has
// set, which no schedule changes.
func (t Task) settingsFor(trained uint64, set map[string]any) (train json.RawMessage, differ record.Settings) {
	all := map[string]json.RawMessage{}
	if len(t.Schedule)+len(set) == 0 || json.Unmarshal(t.Train, &all) != nil { // Validate reports it
		return t.Train, nil
	}
	differ = record.Settings{}
	for _, name := range slices.Sorted(maps.Keys(t.Schedule)) {
		var v float64
		if json.Unmarshal(all[name], &v) != nil {
			continue
		}
		s := t.Schedule[name]
		for range trained / max(s.Every, 1) {
			v *= s.Decay
		}
		differ[name] = v
	}
	maps.Copy(differ, set)
	for name, v := range differ {
		b, err := json.Marshal(v)
		if err != nil { // numbers that are finite, and texts
			continue
		}
		all[name] = b
	}
	if train, err := json.Marshal(all); err == nil { // names ascend
		return train, differ
	}
	return t.Train, nil
}

func (t Task) scheduleProblems() (errs []error) {
	var all map[string]any
	if json.Unmarshal(t.Train, &all) != nil { // told of by itself
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(t.Schedule)) {
		s := t.Schedule[name]
		switch _, number := all[name].(float64); {
		case !number:
			errs = append(errs, fmt.Errorf("schedule.%.64s: want the name of a number below train", name))
		case !(s.Decay > 0 && s.Decay <= 10):
			errs = append(errs, fmt.Errorf("schedule.%.64s.decay: %v, want above 0 to 10", name, s.Decay))
		case s.Decay == 1:
			errs = append(errs, fmt.Errorf("schedule.%.64s.decay: 1 has no effect", name))
		}
	}
	return errs
}

// settings are what the next round is ordered with, after a state.
func (t *task) settingsAfter(s *round.State) settings {
	out := settings{Round: s.Round, Seed: t.cfg.Seed, Encoding: t.encoding()}
	if out.Train, out.Differ = t.cfg.settingsFor(s.Trained, s.Set); out.Differ != nil {
		out.Configured = t.cfg.Train
	}
	return out
}

// differ is what the record of a round says of its settings.
func (t *task) differ(work string) record.Settings {
	if work != strategy.Train || len(t.settings.Differ) == 0 {
		return nil
	}
	return t.settings.Differ
}

// settable reads what an operator sets: numbers and texts below train, by names that the
// configuration has, so that every trainer knows them. Null takes back what was set.
func (t *task) settable(raw json.RawMessage) (map[string]any, error) {
	set, err := readSettings(raw)
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(t.cfg.Train, &all); err != nil {
		return nil, err
	}
	known := slices.Sorted(maps.Keys(all))
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if _, ok := all[name]; ok {
			continue
		}
		hint := ""
		if n := near.Of(name, known); n != "" {
			hint = ", nearest " + n
		}
		return nil, fmt.Errorf("set: %.64q is none of the settings below train: %s%s; a new one goes into the configuration", name, strings.Join(known, ", "), hint)
	}
	if err := t.taken(set); err != nil {
		return nil, fmt.Errorf("set: %w", err)
	}
	return set, nil
}

// taken reports why trainers would decline what the next round of training would be ordered
// with. Whatever is only taken back may be: it cannot be worse than the configuration.
func (t *task) taken(set map[string]any) error {
	given := false
	for _, v := range set {
		given = given || v != nil
	}
	if t.cfg.CheckTrain == nil || !given {
		return nil
	}
	train, _ := t.cfg.settingsFor(t.state.Trained, t.state.SetBy(set))
	return t.cfg.CheckTrain(train, t.cfg.needs(t.a.cfg.Strategies))
}

// readSettings reads the argument of set.
func readSettings(raw json.RawMessage) (map[string]any, error) {
	var set map[string]any
	if err := json.Unmarshal(raw, &set); err != nil || len(set) == 0 {
		return nil, fmt.Errorf("args: settings: want a JSON object with one setting or more")
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		switch v := set[name].(type) {
		case float64, nil:
		case string:
			if len(v) > 256 {
				return nil, fmt.Errorf("args: settings: %.64s: a text of %d bytes, at most 256", name, len(v))
			}
		default:
			return nil, fmt.Errorf("args: settings: %.64s: want a number, a text, or null", name)
		}
	}
	return set, nil
}

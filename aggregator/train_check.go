package aggregator

import (
	"encoding/json"
	"fmt"

	"github.com/fedmq/fedmq/strategy"
)

// CheckTrain says why trainers would decline an order with these settings, in a round whose
// strategy has these needs of local training (trainer.Needs); nil: they would not.
type CheckTrain func(train json.RawMessage, needs []string) error

// Of a schedule so many steps are looked at one by one, and one that lies far off: a value
// that is no whole number any more stays none, and what leaves a range does not come back.
const (
	nearSteps = 2_000
	farStep   = 1_000_000
)

// TrainProblem says why trainers would decline the settings of some round of training: as
// they are configured, beside the strategy, or as the schedule has them by then.
func (t Task) TrainProblem(r strategy.Registry) error {
	if t.CheckTrain == nil || len(t.scheduleProblems()) > 0 { // told of by themselves
		return nil
	}
	setDefault(&t.Strategy, strategy.FedAvg)
	needs := t.needs(r)
	if err := t.CheckTrain(t.Train, nil); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if err := t.CheckTrain(t.Train, needs); err != nil {
		return fmt.Errorf("train, with strategy %s: %w", t.Strategy, err)
	}
	if len(t.Schedule) == 0 || t.Rounds == 0 {
		return nil
	}
	every := t.Rounds
	for _, s := range t.Schedule {
		every = min(every, max(s.Every, 1))
	}
	steps := (t.Rounds - 1) / every
	check := func(step uint64) error {
		train, _ := t.settingsFor(step*every, nil)
		if err := t.CheckTrain(train, needs); err != nil {
			return fmt.Errorf("schedule: by round %d of training: %w", step*every+1, err)
		}
		return nil
	}
	for step := range min(steps, nearSteps) {
		if err := check(step + 1); err != nil {
			return err
		}
	}
	return check(min(steps, farStep))
}

// needs are those of the strategy.
func (t Task) needs(r strategy.Registry) []string {
	l, err := localOf(r, t)
	if err != nil || l == nil { // Validate says what is wrong with it
		return nil
	}
	return l.Needs
}

package aggregator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
)

// strict is what a trainer takes: whole epochs from 1, a rate up to 10, and no momentum where
// the strategy wants plain steps.
func strict(train json.RawMessage, needs []string) error {
	s := struct {
		Epochs       int
		LR, Momentum float64
	}{Epochs: 1}
	dec := json.NewDecoder(bytes.NewReader(train))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return err
	}
	if s.Epochs < 1 || s.LR > 10 || s.Momentum > 0 && slices.Contains(needs, trainer.NeedSGD) {
		return fmt.Errorf("declined: %+v", s)
	}
	return nil
}

// The settings of every round are held against what the trainers take, before the first.
func TestTrainProblem(t *testing.T) {
	t.Parallel()
	every := func(decay float64, n uint64) Schedule { return Schedule{Decay: decay, Every: n} }
	for name, c := range map[string]struct {
		task Task
		want string // "": none
	}{
		"as it is":           {Task{Train: json.RawMessage(`{"epochs":5,"lr":1}`), Rounds: 3}, ""},
		"out of range":       {Task{Train: json.RawMessage(`{"epochs":0}`), Rounds: 3}, "train: declined"},
		"the strategy":       {Task{Train: json.RawMessage(`{"momentum":0.9}`), Rounds: 3, Strategy: "scaffold"}, "train, with strategy scaffold: declined"},
		"its parameter":      {Task{Train: json.RawMessage(`{"momentum":0.9}`), Rounds: 3, Strategy: "fednova", StrategyParams: strategy.Settings{"mu": .1}}, "train, with strategy fednova: declined"},
		"no whole number":    {Task{Train: json.RawMessage(`{"epochs":5}`), Rounds: 3, Schedule: map[string]Schedule{"epochs": every(.98, 0)}}, "schedule: by round 2 of training: "},
		"whole for a while":  {Task{Train: json.RawMessage(`{"epochs":4}`), Rounds: 9, Schedule: map[string]Schedule{"epochs": every(.5, 2)}}, "schedule: by round 7 of training: "},
		"whole to the end":   {Task{Train: json.RawMessage(`{"epochs":4}`), Rounds: 6, Schedule: map[string]Schedule{"epochs": every(.5, 2)}}, ""},
		"out of range later": {Task{Train: json.RawMessage(`{"lr":1}`), Rounds: 50_001, Schedule: map[string]Schedule{"lr": every(1.0001, 1)}}, "schedule: by round 50001 of training: declined"},
		"in range all along": {Task{Train: json.RawMessage(`{"lr":1}`), Rounds: 1 << 60, Schedule: map[string]Schedule{"lr": every(.5, 1<<50)}}, ""},
		"two paces":          {Task{Train: json.RawMessage(`{"lr":1,"epochs":2}`), Rounds: 10, Schedule: map[string]Schedule{"lr": every(.5, 2), "epochs": every(.5, 3)}}, "schedule: by round 7 of training: "},
	} {
		c.task.CheckTrain = strict
		err := c.task.TrainProblem(strategy.Registry{})
		if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		c.task.CheckTrain = nil
		if err := c.task.TrainProblem(strategy.Registry{}); err != nil {
			t.Errorf("%s: nobody knows the trainers: %v", name, err)
		}
	}
	cfg := Config{Tasks: []Task{{Train: json.RawMessage(`{"epochs":0}`), CheckTrain: strict}}}
	if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), "train: declined: {Epochs:0") {
		t.Errorf("the configuration: %v", err)
	}
}

// What an operator sets is held against it too, beside what is set already; what is only
// taken back is not.
func TestSettableIsTaken(t *testing.T) {
	t.Parallel()
	task := &task{
		a: &aggregator{}, state: &round.State{Set: map[string]any{"lr": 20.}}, // of a version that did not look
		cfg: Task{Train: json.RawMessage(`{"epochs":5,"lr":1}`), Strategy: strategy.FedAvg, CheckTrain: strict},
	}
	for raw, want := range map[string]string{
		`{"epochs":2}`:             "set: declined: {Epochs:2 LR:20",
		`{"epochs":2,"lr":2}`:      "",
		`{"lr":null}`:              "",
		`{"epochs":null}`:          "",
		`{"epochs":2,"lr":null}`:   "",
		`{"epochs":1.5,"lr":null}`: "set: json: cannot unmarshal number 1.5",
		`{"epochs":"abc","lr":1}`:  "set: json: cannot unmarshal string",
		`{"epochs":-1,"lr":1}`:     "set: declined",
	} {
		_, err := task.settable(json.RawMessage(raw))
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
	task.cfg.CheckTrain = nil
	if _, err := task.settable(json.RawMessage(`{"epochs":-1}`)); err != nil {
		t.Errorf("nobody knows the trainers: %v", err)
	}
}

package aggregator

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// What is wrong at several places is told in one order, always.
func TestProblemsInOrder(t *testing.T) {
	t.Parallel()
	of := &task{
		a: &aggregator{}, cfg: Task{Train: json.RawMessage(`{"epochs":5,"lr":1}`)},
	}
	for range 20 {
		errs := Task{Strategy: strategy.FedAvg, Locals: model.Locals{Keep: []string{""}, Share: []string{""}}}.localProblems(strategy.Registry{})
		if len(errs) != 2 || !strings.HasPrefix(errs[0].Error(), "strategy.share: ") || !strings.HasPrefix(errs[1].Error(), "strategy.keep_local: ") {
			t.Fatalf("%q", errs)
		}
		for raw, want := range map[string]string{
			`{"z":1,"y":1,"x":1,"lr":1}`:            `set: "x" is none of the settings`,
			`{"lr":[],"epochs":true,"x":{},"y":{}}`: "args: settings: epochs: want a number",
		} {
			if _, err := of.settable(json.RawMessage(raw)); err == nil || !strings.HasPrefix(err.Error(), want) {
				t.Fatalf("%s: %v, want %s", raw, err, want)
			}
		}
	}
}

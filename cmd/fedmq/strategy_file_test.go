package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/aggregator"
)

// A strategy is a name or a mapping, with its parameters beside the keys that all have;
// likewise its server optimiser. What is none is refused at its place in the file.
func TestStrategyFile(t *testing.T) {
	t.Parallel()
	read := func(text string) (aggregator.Task, error) {
		path := filepath.Join(t.TempDir(), "aggregator.yaml")
		doc := "broker: tcp://h\nnamespace: acme\ndata_dir: d\ntasks:\n  - {name: q, members: [\"+\"], rounds: 3, model: {linear: {inputs: 1, outputs: 1}}, strategy: " + text + "}\n"
		if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := loadAggregator(path)
		if err != nil {
			return aggregator.Task{}, err
		}
		return cfg.Tasks[0], nil
	}
	for text, want := range map[string]string{
		"fedavg":                               "fedavg map[]  map[] ",
		"{name: fedavg}":                       "fedavg map[]  map[] ",
		"{}":                                   " map[]  map[] ",
		"{server: momentum, weights: uniform}": " map[] momentum map[] uniform",
		"{name: fedavg, server: {name: momentum, eta: 1, beta: 5e-1}}": "fedavg map[] momentum map[beta:0.5 eta:1] ",
		"{server: {name: adam, bias_correction: true}}":                " map[] adam map[bias_correction:true] ",
		"{server: {eta: .5}}": " map[]  map[eta:0.5] ",
	} {
		task, err := read(text)
		if got := fmt.Sprintf("%s %v %s %v %s", task.Strategy, map[string]any(task.StrategyParams), task.Server, map[string]any(task.ServerParams), task.Weights); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"{name: fedavg, mu: 1}":                         `aggregator.yaml:5:109: unknown key "mu" in strategy: fedavg has no parameters`,
		"{grid: 1}":                                     `unknown key "grid" in strategy: fedavg has no parameters; did you mean "grid_b"?`,
		"{server: {name: momentum, bta: .5}}":           `unknown key "bta" in strategy.server: momentum has the parameters eta, beta; did you mean "beta"?`,
		"{server: {name: momentum, beta: 1}}":           "server optimiser momentum: beta: 1, want 0 to below 1: how much of the direction stays",
		"{server: {name: momentum, beta: much}}":        `beta: "much", want 0 to below 1`,
		"{server: {name: momentum, beta: [1]}}":         "strategy.server.beta: want a number or a text",
		"{server: {name: momentum, beta: 010}}":         "010 may be read as more than one number",
		"{server: {name: momentum, beta: .1, beta: 1}}": "beta",
		"{server: {beta: .5}}":                          `unknown key "beta" in strategy.server: sgd has the parameters eta`,
		"{server: lamb}":                                `server optimiser "lamb", known: sgd, momentum, adagrad, adam, yogi`,
		"{name: fedsgd, f: 1}":                          `strategy "fedsgd", known: fedavg`,
		"[fedavg]":                                      "strategy: want a name, or a mapping with the key name",
		"3":                                             "strategy: want a name, or a mapping with the key name",
		"{name: fltrust, root: {}}":                     "strategy.root: trainer: missing; want tabular or exec",
		"{name: fltrust, root: {tabular: {train: none.csv, target: {column: y}, features: [{columns: [x]}]}}}": "strategy.root: trainer.tabular: tabular: stat ",
		"{name: fltrust, weights: samples}": `strategy.weights: "samples", want uniform with the strategy fltrust`,
		"{cap: 0}":                          "cap: 0 would be taken for the default",
		"{cap: many}":                       "aggregator.yaml:5:100: want a whole number",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

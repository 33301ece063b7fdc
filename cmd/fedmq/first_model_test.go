package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
)

// A state_dict saved without rules: the counter of its batch norm is kept, and
// what is kept among its floats is said.
func TestFirstModelFromFile(t *testing.T) {
	t.Parallel()
	schema, err := model.NewSchema(
		model.Spec{Name: "bn.num_batches_tracked", DType: model.I64},
		model.Spec{Name: "bn.weight", Shape: []int{2}},
		model.Spec{Name: "mask", Shape: []int{4, 4}, Rule: model.Keep},
		model.Spec{Name: model.ZSDName, DType: model.F64, Shape: []int{2}, Rule: model.Keep})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "init.safetensors")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := model.New(schema).WriteSafetensors(f, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := readFirst(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "is no regular file") {
		t.Errorf("a directory: %v", err)
	}
	m, err := readFirst(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg := aggregator.Config{
		Broker: "tcp://127.0.0.1:1", Namespace: "acme", DataDir: "d",
		Tasks: []aggregator.Task{{Name: "t", Members: []string{"+/+"}, Rounds: 1, Init: m}},
	}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	if got := strings.Join(cfg.Warnings(), "\n"); got != "tasks[0] (t): model: the rule keep leaves as they are, never averaged: mask f32[4 4]" {
		t.Errorf("warnings: %q", got)
	}
}

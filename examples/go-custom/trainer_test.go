package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

const data = "../turbofan/train.csv.gz"

func newFleet(t *testing.T) (*fleet, *model.Model) {
	t.Helper()
	train, test, err := load(data, "F01")
	if err != nil {
		t.Fatal(err)
	}
	m, err := first(train)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &fleet{train: train, test: test, busy: filepath.Join(dir, "busy"), best: filepath.Join(dir, "best.safetensors")}, m
}

func job(round uint64) trainer.Job {
	return trainer.Job{
		Task: "promise", Member: "F01/engines", Round: round, Seed: trainer.Seed(1, "F01/engines", round),
		Settings: json.RawMessage(`{"epochs": 4, "lr": 0.002, "quantile": 0.25}`),
	}
}

// loss is the global model's, as this site sees it.
func loss(t *testing.T, f *fleet, round uint64, m *model.Model) float64 {
	t.Helper()
	s, err := f.Evaluate(t.Context(), job(round), m)
	if err != nil {
		t.Fatal(err)
	}
	return s.Scores()["loss"]
}

func TestTrain(t *testing.T) {
	t.Parallel()
	f, m := newFleet(t)
	before := m.Clone()
	a, err := f.Train(t.Context(), job(1), m)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Blob, before.Blob) || !bytes.Equal(a.Bytes("scale.sd"), m.Bytes("scale.sd")) {
		t.Error("the global model or its scaling has changed")
	}
	if was, is := loss(t, f, 1, m), loss(t, f, 2, a); is > was/2 {
		t.Errorf("loss %.2f flights, %.2f before", is, was)
	}
	again := job(1)
	again.Attempt = 7
	b, err := f.Train(t.Context(), again, m)
	if err != nil || !bytes.Equal(a.Blob, b.Blob) {
		t.Errorf("a round repeated gives other bits: %v", err)
	}
}

func TestDecline(t *testing.T) {
	t.Parallel()
	f, m := newFleet(t)
	if err := os.WriteFile(f.busy, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Train(t.Context(), job(1), m); err == nil || !strings.Contains(err.Error(), "production") {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(f.busy); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Train(t.Context(), job(2), m); err != nil || f.numbers().Declined != 1 {
		t.Errorf("%v, declined %d", err, f.numbers().Declined)
	}
	bad := job(3)
	bad.Settings = json.RawMessage(`{"quantile": 1}`)
	if _, err := f.Train(t.Context(), bad, m); err == nil {
		t.Error("a quantile of 1 is obeyed")
	}
}

// The best model stays, over worse ones and over a restart.
func TestBest(t *testing.T) {
	t.Parallel()
	f, worse := newFleet(t)
	better, err := f.Train(t.Context(), job(1), worse)
	if err != nil {
		t.Fatal(err)
	}
	loss(t, f, 1, better)
	loss(t, f, 2, worse)
	next := &fleet{train: f.train, test: f.test, best: f.best}
	loss(t, next, 3, worse)
	kept, err := model.ReadSafetensorsFile(f.best, 1<<20)
	if err != nil || kept.ContentID() != better.ContentID() {
		t.Errorf("not the best model: %v", err)
	}
	if n := next.numbers(); n.BestRound != 0 || n.BestLoss >= n.Loss {
		t.Errorf("numbers %+v", n)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	o, err := flags([]string{"-fleet", "F02", "-hours", "22:00-06:00", "-bandwidth", "64000"})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := o.config(&fleet{train: make([]row, 1)})
	if err != nil || cfg.Member != "F02/engines" || cfg.DataDir != filepath.Join("state", "F02") || cfg.Bandwidth != 64000 {
		t.Errorf("%v, %+v", err, cfg)
	}
	for want, args := range map[string][]string{
		"hours": {"-hours", "late"}, "9600": {"-bandwidth", "1"}, "F11": {"-fleet", "F11"}, "no such file": {"-data", "none.gz"},
	} {
		args = append([]string{"-dir", t.TempDir(), "-data", data}, args...)
		if err := run(t.Context(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/trainer"
)

// interrupting adds 1 to the bias, and calls a function before each training.
type interrupting struct {
	biased
	before func()
}

func (i interrupting) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	i.before()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return i.biased.Train(ctx, job, global)
}

// What was done before an interruption stays, and is not done again.
func TestBaselineInterrupted(t *testing.T) {
	t.Parallel()
	first, err := model.Arch{Kind: "linear", Inputs: 1, Outputs: 1}.New(false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	made := 0
	before := func() {
		if made++; made == 2 {
			cancel()
		}
	}
	b := &baseline{up: up{dir: t.TempDir()}}
	b.field.sites = []fieldSite{{member: "a", start: func(context.Context) (trainer.Trainer, error) { return interrupting{before: before}, nil }}}
	for _, key := range []string{"x", "y", "z"} {
		cfg := aggregator.Config{Namespace: "acme", Tasks: []aggregator.Task{{Name: "t", Members: []string{"+"}, Rounds: 1, Init: first}}}
		b.work = append(b.work, planned{trial: trial{Arm: armFederated}, Key: key, cfg: cfg})
	}
	if _, err := b.train(ctx); !errors.Is(err, context.Canceled) || made != 2 {
		t.Fatalf("%v after %d trainings", err, made)
	}
	done, err := b.train(t.Context())
	if err != nil || made != 4 || len(done) != 3 || done[0].Key != "x" || done[2].Key != "z" {
		t.Errorf("%v after %d trainings: %v", err, made, done)
	}
	text, err := os.ReadFile(b.kept() + "/trainings.jsonl")
	if err != nil || strings.Count(string(text), "\n") != 3 {
		t.Errorf("%v: %s", err, text)
	}
}

// Sites alone are taken together first; best and worst are of them.
func TestScores(t *testing.T) {
	t.Parallel()
	of := func(arm, site string, fold int, v float64) outcome {
		return outcome{trial: trial{Arm: arm, Site: site, Fold: fold}, Metrics: record.Metrics{"rmse": {Value: record.Number(v)}}}
	}
	got, err := scoresOf([]outcome{
		of(armAlone, "a", 1, 1), of(armAlone, "b", 1, 3), of(armFederated, "", 1, 1),
		of(armAlone, "a", 2, 2), of(armAlone, "b", 2, 6), of(armFederated, "", 2, 2),
	}, "rmse")
	if err != nil {
		t.Fatal(err)
	}
	want := []armScore{
		{Arm: armAlone, N: 2, Mean: 3, SD: 1.4142135623730951, Best: 1.5, Worst: 4.5},
		{Arm: armFederated, N: 2, Mean: 1.5, SD: 0.7071067811865476, Best: 1, Worst: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Where the best version of one row is another than its last one, every row says its own.
func TestScoresWritten(t *testing.T) {
	t.Parallel()
	v := func(x float64) *float64 { return &x }
	rows := []armScore{
		{Set: "strategy=fedavg", Arm: armFederated, N: 1, Mean: .5, Best: .5, Worst: .5, BestVersion: v(.5)},
		{Set: "strategy=median", Arm: armFederated, N: 1, Mean: .5, Best: .5, Worst: .5, BestVersion: v(.5)},
	}
	table := func() (string, bool) {
		var out strings.Builder
		others, err := writeScores(&out, rows)
		if err != nil {
			t.Fatal(err)
		}
		return out.String(), others
	}
	if text, others := table(); others || strings.Contains(text, "best version") {
		t.Errorf("all the same: %v\n%s", others, text)
	}
	rows = append(rows, armScore{Arm: armAlone, N: 1, Mean: .4, Best: .4, Worst: .4, BestVersion: v(.6)}, armScore{Arm: armCentral, N: 1, Mean: .7})
	if text, others := table(); !others || strings.Count(text, "best version 0.5\n") != 2 || strings.Count(text, "best version") != 3 {
		t.Errorf("one is another: %v\n%s", others, text)
	}
	rows[2] = rows[1]
	for n, want := range map[int]string{2: "strategy=fedavg, 0.5, as much as 1 other;", 3: "as much as 2 others;"} {
		if said := bestSet(rows[:n], "accuracy"); !strings.Contains(said, want) {
			t.Errorf("%d: %q, want %q", n, said, want)
		}
	}
}

// A value goes where its key is, with the comments around it; commas within
// brackets belong to it.
func TestChangeKeys(t *testing.T) {
	t.Parallel()
	const text = "a: 1 # one\ntasks:\n  - name: t # two\n    train: {lr: 1}\n"
	got, err := changeKeys([]byte(text), changedKey{"tasks[0].train.lr", "2"}, changedKey{"tasks[0].strategy.weights", "sqrt"}, changedKey{"tasks[0].rounds", "3"})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"# one", "# two", "lr: 2", "weights: sqrt", "rounds: 3"} {
		if !strings.Contains(string(got), part) {
			t.Errorf("no %s in %s", part, got)
		}
	}
	list, err := listed("[16, 8],[4],1e-4,sqrt")
	if want := []string{"[16, 8]", "[4]", "1e-4", "sqrt"}; err != nil || !cmp.Equal(list, want) {
		t.Errorf("%q, %v", list, err)
	}
	for _, bad := range []string{"", "[1"} {
		if list, err := listed(bad); err == nil {
			t.Errorf("%q: %q", bad, list)
		}
	}
}

// README's tables are what the same code says; turbofan's are checked where its
// blocks are run (make quickstart).
func TestReadmeBaseline(t *testing.T) {
	t.Parallel()
	b := &baseline{baselineCmd: baselineCmd{Dir: t.TempDir() + "/wells", Example: "wells", Seeds: 1}}
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	b.up.dir = b.baselineCmd.Dir
	if err := errors.Join(b.read(t.Context()), b.plan()); err != nil {
		t.Fatal(err)
	}
	if racing.On { // a few rounds of each kind of training have the goroutines of all
		b.work = slices.CompactFunc(b.work, func(a, b planned) bool { return a.Arm == b.Arm })
		for i := range b.work {
			b.work[i].cfg.Tasks[0].Rounds = 2
		}
	}
	done, err := b.train(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if racing.On {
		return
	}
	rows, err := scoresOf(done, "accuracy")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"| each of ten wells alone: mean (best, worst) | " + hundredths(rows[0].Mean) + " (" + hundredths(rows[0].Best) + ", " + hundredths(rows[0].Worst) + ") |",
		"| **federated, 20 rounds, 203 parameters** | **" + hundredths(rows[1].Mean) + "** |",
		"| all data in one place | " + hundredths(rows[2].Mean) + " |",
	} {
		if !strings.Contains(string(readme), "\n"+line+"\n") {
			t.Errorf("README has no %s", line)
		}
	}
}

// hundredths is a share as the README writes it: .89.
func hundredths(v float64) string { return strings.TrimPrefix(strconv.FormatFloat(v, 'f', 2, 64), "0") }

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fedmq/fedmq/record"
)

// kept is where a folder's trainings are remembered.
func (b *baseline) kept() string { return filepath.Join(b.up.dir, ".fedmq-baseline") }

// workDir is for the files of programs while they run.
func (b *baseline) workDir() string { return filepath.Join(b.kept(), "work") }

// place is a directory for one program.
func (b *baseline) place() (string, error) {
	if err := os.MkdirAll(b.workDir(), 0o700); err != nil {
		return "", err
	}
	return os.MkdirTemp(b.workDir(), "")
}

// outcome is a line of what is remembered: what was trained, and what came of it.
type outcome struct {
	trial
	Set      string         `json:"set,omitempty"`
	Key      string         `json:"key"`
	Beside   string         `json:"beside,omitempty"`   // see planned
	Settings string         `json:"settings,omitempty"` // likewise
	Rounds   uint64         `json:"rounds"`             // of training
	Metrics  record.Metrics `json:"metrics"`
	Shown    string         `json:"shown,omitempty"` // metric that is shown first
	Guess    record.Values  `json:"guess,omitzero"`  // what the best constant guess has
	Curve    []curveRound   `json:"curve,omitempty"` // of a federation
	Best     *bestTrained   `json:"best,omitempty"`  // the version that did best; none: none was measured on the way
	Model    string         `json:"model"`           // content id
	Values   int            `json:"values"`          // that are averaged
	Seconds  float64        `json:"seconds"`
}

// train does what is not done yet, as many at once as there are processors, and
// returns all in the order of the plan.
func (b *baseline) train(ctx context.Context) (done []outcome, err error) {
	book, err := openBook(filepath.Join(b.kept(), "trainings.jsonl"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, book.close(), os.RemoveAll(b.workDir())) }()
	done = make([]outcome, len(b.work))
	var open []int
	for i, p := range b.work {
		had, ok := book.had[p.Key]
		if done[i] = had; !ok {
			open = append(open, i)
		}
		done[i].Set = p.Set // as it was written this time
	}
	bar := newBar("training", len(b.work), len(open))
	defer bar.end()
	atOnce := atOnce
	if b.alone() {
		atOnce = oneByOne
	}
	runs, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	err = atOnce(len(open), func(i int) error {
		if runs.Err() != nil {
			return nil
		}
		p := b.work[open[i]]
		o, err := b.one(runs, p)
		switch {
		case err != nil && runs.Err() == nil && p.Arm == armFederated && p.Set != "":
			b.refuse(p.Set, err) // others may be possible
			bar.step()
			return nil
		case err != nil:
			fail(err) // the first is enough
			return nil
		}
		done[open[i]] = o
		defer bar.step()
		return book.add(o)
	})
	if ctx.Err() != nil {
		bar.end()
		fmt.Fprintf(os.Stderr, "%d of %d trainings are kept in %s; the same command goes on.\n", book.count(b.work), len(b.work), b.kept())
		return nil, context.Canceled
	}
	if err := errors.Join(context.Cause(runs), err, b.anyLeft()); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(done, func(o outcome) bool { return b.refused[o.Set] != nil }), nil
}

// refuse notes that a point of the grid cannot be trained.
func (b *baseline) refuse(set string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refused[set] == nil {
		b.refused[set] = err
	}
}

// one runs a training.
func (b *baseline) one(ctx context.Context, p planned) (outcome, error) {
	began := time.Now()
	got, err := b.field.train(ctx, p.cfg, p.trial)
	if err != nil {
		return outcome{}, fmt.Errorf("%s: %w", p, err)
	}
	o := outcome{
		trial: p.trial, Set: p.Set, Key: p.Key, Beside: p.Beside, Settings: p.Settings,
		Rounds: p.cfg.Tasks[0].Rounds, Metrics: got.metrics, Shown: got.about.Shown, Guess: got.about.Guess, Best: got.best,
		Model: got.model.ContentID().String(), Values: got.model.Schema.Shared().Elements(), Seconds: time.Since(began).Seconds(),
	}
	if p.Arm == armFederated {
		o.Curve = got.curve
	}
	return o, nil
}

// String says which training it is.
func (p planned) String() string {
	parts := []string{p.Arm, p.Site}
	if p.Left != "" {
		parts = append(parts, "without "+p.Left)
	}
	if p.Fold > 0 {
		parts = append(parts, fmt.Sprintf("fold %d", p.Fold))
	}
	parts = append(parts, fmt.Sprintf("seed +%d", p.Seed), p.Set)
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

func oneByOne(n int, f func(i int) error) error {
	for i := range n {
		if err := f(i); err != nil {
			return err
		}
	}
	return nil
}

// book remembers trainings, a line each.
type book struct {
	mu  sync.Mutex
	f   *os.File
	had map[string]outcome
}

// trainingsIn is what a book at path remembers, oldest first, and whether its last
// line is whole: one that was cut short is left out.
func trainingsIn(path string) (list []outcome, whole bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	for line := range strings.Lines(string(text)) {
		var o outcome
		if json.Unmarshal([]byte(line), &o) == nil && o.Key != "" {
			list = append(list, o)
		}
	}
	return list, len(text) == 0 || text[len(text)-1] == '\n', err
}

// openBook reads what there is.
func openBook(path string) (*book, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	b := &book{f: f, had: map[string]outcome{}}
	list, whole, err := trainingsIn(path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	for _, o := range list {
		b.had[o.Key] = o
	}
	if !whole {
		_, err = f.WriteString("\n")
	}
	return b, err
}

func (b *book) add(o outcome) error {
	line, err := json.Marshal(o)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.had[o.Key] = o
	_, err = b.f.Write(append(line, '\n'))
	return err
}

// count is how many of the plan are there.
func (b *book) count(work []planned) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range work {
		if _, ok := b.had[p.Key]; ok {
			n++
		}
	}
	return n
}

func (b *book) close() error { return b.f.Close() }

// bar shows on a terminal how far it is.
type bar struct {
	mu          sync.Mutex
	line        liveLine
	what        string
	total, done int
	open, made  int // of this time
	began       time.Time
}

const barWidth = 30

func newBar(what string, total, open int) *bar {
	b := &bar{line: progressOf(os.Stderr), what: what, total: total, done: total - open, open: open, began: time.Now()}
	b.show()
	return b
}

func (b *bar) step() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done, b.made = b.done+1, b.made+1
	b.show()
}

func (b *bar) show() {
	full := barWidth * b.done / max(b.total, 1)
	left := ""
	if b.made > 0 && b.made < b.open {
		d := time.Since(b.began) / time.Duration(b.made) * time.Duration(b.open-b.made)
		left = fmt.Sprintf(", %s left", d.Round(time.Second))
	}
	b.line.show("%s [%s%s] %d/%d%s", b.what, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), b.done, b.total, left)
}

func (b *bar) end() { b.line.end() }

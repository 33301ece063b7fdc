package main

import (
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/internal/proc"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

const trainerImports = `package main

import (
	"context"
	"log"
	"os/signal"
	"syscall"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
)

func main() { ExampleRun() }

`

// The program in the README, built with the imports it names, takes part in a
// task that begins with one tensor, "mean", and learns.
func TestReadmeTrainerRuns(t *testing.T) {
	racing.Skip(t, "the program is built without it")
	t.Parallel()
	dir := t.TempDir()
	addr := runBroker(t)
	code := strings.Replace(readmeBlock(t, "<!-- example:site/example_test.go -->"), "127.0.0.1:1883", addr, 1)
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "bearings")
	if err := os.WriteFile(source, []byte(trainerImports+code), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(program)
	cmd.Dir = dir
	p, err := proc.Start(cmd, program+".log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	last := runTask(t, addr, dir)
	if p.Stop(); p.Err() != nil {
		t.Errorf("the program ended with %v: %s", p.Err(), p.Log())
	}
	// Ten rounds over 0.4 and 0.6 mm from 0, a tenth of the way each time.
	w := 0.0
	for range 10 {
		w += 0.1 * (0.4 - w)
		w += 0.1 * (0.6 - w)
	}
	if math.Abs(float64(last)-w) > 1e-6 {
		t.Errorf("mean %v after ten rounds, want %.6f", last, w)
	}
}

// runBroker runs an open broker for the time of the test.
func runBroker(t *testing.T) string {
	t.Helper()
	b, err := broker.New(broker.Config{TCP: "127.0.0.1:0", Open: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-b.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return b.Addrs().TCP
}

// runTask runs ten rounds of the task "bearings" and returns its mean.
func runTask(t *testing.T, addr, dir string) float32 {
	t.Helper()
	schema, err := model.NewSchema(model.Spec{Name: "mean", DType: model.F32, Shape: []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const rounds = 10
	data := filepath.Join(dir, "aggregator")
	var last record.Record // of the rounds of training
	finished := false
	err = aggregator.Run(ctx, aggregator.Config{
		Broker: "tcp://" + addr, Namespace: "acme", DataDir: data,
		Tasks: []aggregator.Task{{Name: "bearings", Members: []string{"+/line-1"}, Rounds: rounds, Init: model.New(schema)}},
		OnRecord: func(_ string, r record.Record) {
			if r.Round == rounds && r.Verdict == record.Committed {
				last = r
			}
		},
		OnEnd: func(_ string, ok bool, _ string) { finished = ok; cancel() },
	})
	if err != nil || !finished || last.Round != rounds {
		t.Fatalf("the task has not finished, round %d: %v", last.Round, err)
	}
	var blob []byte
	err = filepath.WalkDir(filepath.Join(data, "blobs"), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.Contains(filepath.Base(path), last.Model.String()) {
			blob, err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &model.Model{Schema: schema, Blob: blob}
	w, err := m.Float32s("mean")
	if err != nil {
		t.Fatalf("model %s in %s: %v", last.Model, data, err)
	}
	return w[0]
}

package nettest

import (
	"context"
	"encoding/json"
	"flag"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/trainer"
)

var full = flag.Bool("full", false, "1 MB over 64 kbit/s, and silences longer than the keep-alive")

const far = "far/line-1"

// field is a broker, an aggregator beside it, and one site behind a network that a
// test breaks.
type field struct {
	t       *testing.T
	broker  string // address
	size    int    // bytes of the model
	part    int
	dials   atomic.Int32 // connections of the site
	trained atomic.Int32
	begun   time.Time

	statuses chan status
	records  chan record.Record
}

// status is what the tests read of a site's status.
type status struct {
	Phase    string   `json:"phase"`
	Message  string   `json:"message"`
	Progress *float64 `json:"progress"`
}

// newField starts everything but the site. The broker listens at a host.
func newField(t *testing.T, host string, size, part int) *field {
	t.Helper()
	f := &field{t: t, size: size, part: part, statuses: make(chan status, 10_000), records: make(chan record.Record, 100)}
	dir := filepath.Join(t.TempDir(), "aggregator")
	b, err := broker.New(broker.Config{Open: true, TCP: net.JoinHostPort(host, "0")})
	check(t, err)
	f.run("broker", b.Run)
	select {
	case <-b.Ready():
	case <-time.After(10 * time.Second):
		t.Fatal("the broker is not ready")
	}
	f.broker = b.Addrs().TCP
	s, err := model.NewSchema(model.Spec{Name: "w", DType: model.F32, Shape: []int{size / 4}})
	check(t, err)
	f.run("aggregator", func(ctx context.Context) error {
		return aggregator.Run(ctx, aggregator.Config{
			Broker: "tcp://" + f.broker, Namespace: "acme", DataDir: dir, PartSize: part,
			Tasks: []aggregator.Task{{
				Name: "quality", Members: []string{"+/line-1"}, Rounds: 1, Init: model.New(s), Deadline: time.Hour,
			}},
			OnRecord: func(_ string, r record.Record) { f.records <- r },
		})
	})
	f.watch()
	return f
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a party until the test ends; those started last end first.
func (f *field) run(what string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("%s: %v", what, err)
		}
	})
}

// watch reads the site's statuses where the broker is.
func (f *field) watch() {
	conn, err := link.New(link.Config{Broker: "tcp://" + f.broker, ClientID: "watch"})
	check(f.t, err)
	conn.Subscribe(link.Filter{Topic: "acme/" + far + "/_fl_v1/quality/status", QoS: 1})
	f.run("watch", func(ctx context.Context) error {
		var goes sync.WaitGroup
		defer goes.Wait()
		goes.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-conn.States():
				case m := <-conn.Messages():
					var s status
					if json.Unmarshal(m.Payload, &s) == nil {
						f.statuses <- s
					}
				}
			}
		})
		return conn.Run(ctx)
	})
}

// join starts the site, which reaches the broker by dial.
func (f *field) join(dial func(context.Context) (net.Conn, error)) {
	f.begun = time.Now()
	dir := filepath.Join(f.t.TempDir(), "site")
	f.run("site", func(ctx context.Context) error {
		return site.Run(ctx, site.Config{
			Namespace: "acme", Member: far, DataDir: dir,
			Tasks: []site.Task{{Name: "quality", Trainer: quick{&f.trained}}},
			Dial: func(ctx context.Context) (net.Conn, error) {
				c, err := dial(ctx)
				if err == nil {
					f.dials.Add(1)
				}
				return c, err
			},
		})
	})
}

// quick is a trainer without an evaluator whose every step is one up.
type quick struct{ trained *atomic.Int32 }

func (quick) Samples() int { return 10 }

func (q quick) Train(_ context.Context, _ trainer.Job, global *model.Model) (*model.Model, error) {
	q.trained.Add(1)
	out := global.Clone()
	v, err := out.Float32s("w")
	if err != nil {
		return nil, err
	}
	for i := range v {
		v[i] += float32(i%7) / 8
	}
	return out, out.SetFloat32s("w", v)
}

// until reads statuses until one of a phase shows some progress.
func (f *field) until(phase string, within time.Duration) {
	f.t.Helper()
	late := time.After(within)
	for {
		select {
		case s := <-f.statuses:
			if s.Phase == phase && s.Progress != nil && *s.Progress > 0 {
				return
			}
		case <-late:
			f.t.Fatalf("no progress of phase %s within %s", phase, within)
		}
	}
}

// committed waits for the round, and returns how long it took since the site
// started. The site has trained once.
func (f *field) committed(within time.Duration) time.Duration {
	f.t.Helper()
	late := time.After(within)
	for {
		select {
		case r := <-f.records:
			if r.Round != 1 {
				continue
			}
			if r.Verdict != record.Committed || f.trained.Load() != 1 {
				f.t.Errorf("round 1 is %s after %d trainings", r.Verdict, f.trained.Load())
			}
			return time.Since(f.begun)
		case <-late:
			f.t.Fatalf("no record of round 1 within %s; %d connections", within, f.dials.Load())
		}
	}
}

// steps is how many values of progress the statuses of a phase have shown so far.
func (f *field) steps(phase string) int {
	seen := map[float64]bool{}
	n := len(f.statuses)
	for range n {
		s := <-f.statuses
		f.statuses <- s
		if s.Phase == phase && s.Progress != nil {
			seen[*s.Progress] = true
		}
	}
	return len(seen)
}

// line is what a rate needs for the model, once.
func (f *field) line(kbits int) time.Duration {
	return time.Duration(f.size) * 8 * time.Millisecond / time.Duration(kbits)
}

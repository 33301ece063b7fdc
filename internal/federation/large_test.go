package federation

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// largeWorld is a federation of a model of 1 MB.
func largeWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	s, err := model.NewSchema(
		model.Spec{Name: "steps", DType: model.I64, Shape: []int{1}, Rule: model.Keep},
		model.Spec{Name: "weight", DType: model.F32, Shape: []int{250_000}},
	)
	if err != nil {
		t.Fatal(err)
	}
	w.initial = model.New(s)
	v := make([]float32, 250_000)
	for i := range v {
		v[i] = float32(i%777) / 777
	}
	if err := w.initial.SetFloat32s("weight", v); err != nil {
		t.Fatal(err)
	}
	return w
}

// largeConfig cuts what is larger into parts of so many bytes.
func (w *world) largeConfig(partSize int) aggregator.Config {
	cfg := w.config(func(t *aggregator.Task) { t.Quorum = 3 })
	cfg.PartSize, cfg.StageMemory = partSize, 1_500_000 // one update, the others in files
	return cfg
}

func (w *world) largeSites() []*party {
	return []*party{w.site("c", seeded{samples: 30}), w.site("b", seeded{samples: 20}), w.site("a", seeded{samples: 10})}
}

// TestLarge: 1 MB in parts, down and up, gives the bits of one message each;
// so it does when every link breaks in the middle of what crosses it.
func TestLarge(t *testing.T) {
	t.Parallel()
	run := func(w *world, cfg aggregator.Config) []record.Record {
		a := w.aggregate(cfg)
		sites := w.largeSites()
		a.finish(w.t)
		w.stopAll(append(sites, a.party)...)
		return w.recorded()
	}
	whole := largeWorld(t)
	want := run(whole, whole.largeConfig(4<<20))
	for name, size := range map[string]int{"8 KiB": 8 << 10, "126 KiB": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := largeWorld(t)
			sameModels(t, run(w, w.largeConfig(size)), want)
		})
	}
	t.Run("links that break", func(t *testing.T) {
		t.Parallel()
		w := largeWorld(t)
		w.breaks = []int{1_300_000, 700_000, 2_100_000, 1_700_000, 900_000, 2_900_000}
		sameModels(t, run(w, w.largeConfig(16<<10)), want)
		if len(w.breaks) > 0 {
			t.Errorf("%d links did not break", len(w.breaks))
		}
	})
	t.Run("a restart of the aggregator", func(t *testing.T) {
		t.Parallel()
		w := largeWorld(t)
		cfg := w.largeConfig(8 << 10)
		cfg.Tasks[0].KeepUpdates = aggregator.KeepNone // everybody offers again
		events := w.client(t, "events", "acme/_fl_v1/"+task+"/event")
		defer events.stop()
		gate := make(chan struct{})
		a := w.aggregate(cfg)
		sites := []*party{w.site("c", seeded{samples: 30}), w.site("b", seeded{samples: 20}), w.site("a", seeded{samples: 10, gate: gate})}
		for range 3 {
			events.next("an upload begins", func(m message) bool { return strings.Contains(string(m.payload), `"offered"`) })
			if err := a.stop(); err != nil {
				t.Fatal(err)
			}
			a = w.aggregate(cfg)
		}
		close(gate)
		a.finish(t)
		w.stopAll(append(sites, a.party)...)
		sameModels(t, w.recorded(), want)
	})
}

// brittle is a link that breaks after so many bytes, both ways together.
type brittle struct {
	net.Conn
	mu   sync.Mutex
	left int
}

func (c *brittle) use(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left -= n; c.left <= 0 {
		_ = c.Close()
	}
}

func (c *brittle) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.use(n)
	return n, err
}

func (c *brittle) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.use(n)
	return n, err
}

// brittleConn makes the next connections break, as the world says.
func (w *world) brittleConn(c net.Conn) net.Conn {
	if len(w.breaks) == 0 {
		return c
	}
	c = &brittle{Conn: c, left: w.breaks[0]}
	w.breaks = w.breaks[1:]
	return c
}

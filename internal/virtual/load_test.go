package virtual

import (
	"bytes"
	"fmt"
	"go/constant"
	"go/token"
	"go/types"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// loadCase is a federation beside one subscriber of all below the namespace.
type loadCase struct {
	block        string        // of the page: which formula
	sites, parts int           // parts: of the model, 0 for one message
	takes        time.Duration // every site trains so long, but for
	early        int           // so many, who are done at once, and wait
	bulk         bool          // models and updates are where the subscriber is not
}

// numbers are what the page's formula begins with.
func (c loadCase) numbers() map[string]float64 {
	T, v := c.takes.Seconds(), 1.0
	if c.bulk {
		v = 0
	}
	return map[string]float64{
		"N": float64(c.sites), "W": 1, "V": v, "K": 8, "P": float64(c.parts), "B": float64(c.bytes()), "S": 2, "T": T,
		"w": T / 60 * float64(c.early) / float64(c.sites),
	}
}

// bytes of the model: 100 kB, or as many small parts.
func (c loadCase) bytes() int {
	if c.parts > 0 {
		return c.parts * (loadPart - 64)
	}
	return 100_000
}

// loadPart is the smallest size of parts, so that many of them cost little.
const loadPart = wire.MinPart

// What docs/howto/existing-broker.md says that a round costs a broker is what the
// embedded one counts, within 10 %: the page's own lines are evaluated.
func TestDocumentedLoad(t *testing.T) {
	hours(t)
	page, err := os.ReadFile("../../docs/howto/existing-broker.md")
	check(t, err)
	for name, c := range map[string]loadCase{
		"3 sites, one message":                  {block: "one", sites: 3, takes: 50 * time.Second},
		"3 sites, of whom two wait for a third": {block: "one", sites: 3, takes: 10 * time.Minute, early: 2},
		"an hour after the end":                 {block: "rest", sites: 3, takes: time.Hour},
		"3 sites, one message, bulk apart":      {block: "one", sites: 3, takes: 50 * time.Second, bulk: true},
		"10 sites, 20 parts, bulk apart":        {block: "parts", sites: 10, parts: 20, takes: 50 * time.Second, bulk: true},
		"30 sites, 40 parts":                    {block: "parts", sites: 30, parts: 40, takes: 50 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				said, got := evaluated(t, string(page), c.block, c.numbers()), c.measure(w)
				for _, what := range []string{"published", "out", "bytes", "connections", "retained"} {
					if x := said[what] / got[what]; !(x > 0.9 && x < 1.1) {
						t.Errorf("%s: the page says %.0f, measured %.0f", what, said[what], got[what])
					}
				}
			})
		})
	}
}

// measure runs the federation, and counts at its broker from a quarter of round 3 to
// a quarter of round 6; of a task that is over, an hour.
func (c loadCase) measure(w *world) map[string]float64 {
	w.t.Helper()
	if c.parts > 0 {
		w.parts(loadPart)
	}
	if c.bulk {
		w.bulk(heavy, heavy)
	}
	task := w.task()
	x := make([]float32, c.bytes()/4-2) // a tensor of 8 bytes is kept
	for i := range x {
		x[i] = float32(i%1000) / 1000
	}
	task.Init, task.Members, task.Deadline = weights(w.t, x...), []string{"+"}, time.Hour
	task.Rounds, task.StartWhen, task.Quorum = 7, c.sites, c.sites
	over := c.block == "rest"
	if over {
		task.Rounds, c.takes = 1, time.Second
	}
	watch := w.client("historian", namespace+"/#")
	w.aggregate(task)
	for i := range c.sites {
		takes := c.takes
		if i < c.early {
			takes = 0
		}
		w.join(fmt.Sprintf("site-%02d", i), walker{takes: takes})
	}
	rounds := 3.0
	var at [2]broker.Stats
	for i := range at {
		if over {
			rounds = 1
			w.finished(time.Hour)
			time.Sleep(time.Duration(i) * time.Hour)
		} else {
			w.recorded(2+uint64(3*i), record.Committed, 5*time.Hour)
			time.Sleep(c.takes / 4)
		}
		at[i] = w.broker.Stats()
		watch.forget()
	}
	per := func(of func(broker.Stats) uint64) float64 { return float64(of(at[1])-of(at[0])) / rounds }
	return map[string]float64{
		"published": per(func(s broker.Stats) uint64 { return s.MessagesIn }), "out": per(func(s broker.Stats) uint64 { return s.MessagesOut }),
		"bytes": per(func(s broker.Stats) uint64 { return s.BytesOut }), "connections": float64(at[1].Clients), "retained": float64(at[1].Retained),
	}
}

// evaluated reads the lines "name = expression" of the page's block behind the mark,
// and returns what they are for the given numbers.
func evaluated(t *testing.T, page, block string, given map[string]float64) map[string]float64 {
	t.Helper()
	_, text, ok := strings.Cut(page, "<!-- load "+block+" -->\n```text\n")
	text, _, closed := strings.Cut(text, "```")
	if !ok || !closed {
		t.Fatalf("the page has no block of the load %q", block)
	}
	pkg := types.NewPackage("load", "load")
	define := func(name string, v constant.Value) {
		if v.Kind() == constant.Int {
			v = constant.ToFloat(v)
		}
		pkg.Scope().Insert(types.NewConst(token.NoPos, pkg, name, types.Typ[types.UntypedFloat], v))
		given[name], _ = constant.Float64Val(v)
	}
	for name, v := range given {
		define(name, constant.MakeFloat64(v))
	}
	for line := range strings.Lines(text) {
		name, expr, _ := strings.Cut(line, "=")
		v, err := types.Eval(token.NewFileSet(), pkg, token.NoPos, strings.TrimSpace(expr))
		if err != nil || v.Value == nil {
			t.Fatalf("%s: %v", bytes.TrimSpace([]byte(line)), err)
		}
		define(strings.TrimSpace(name), v.Value)
	}
	return given
}

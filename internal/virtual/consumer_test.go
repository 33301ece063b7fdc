package virtual

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/consumer"
	"github.com/fedmq/fedmq/internal/follow"
	"github.com/fedmq/fedmq/internal/link"
	views "github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// gateway is a consumer, and what it took.
type gateway struct {
	w    *world
	path string
	has  *wire.Header // at the start

	mu    sync.Mutex
	took  []uint64
	fails map[uint64]int // versions that it cannot take, and how often
	said  []error
}

// gateway starts a consumer at a path.
func (w *world) gateway(path string) *gateway {
	w.t.Helper()
	return w.gatewayAs(path, path)
}

// gatewayAs starts one more at a path, under a name.
func (w *world) gatewayAs(path, name string) *gateway {
	w.t.Helper()
	g := &gateway{w: w, path: path, fails: map[uint64]int{}}
	g.start(name)
	return g
}

// start runs it under a name.
func (g *gateway) start(name string) {
	g.w.t.Helper()
	o, err := g.w.ns.Owner("", taskName)
	check(g.w.t, err)
	cfg := consumer.Config{
		Link: link.Config{Dial: g.w.dial(name), Log: g.w.log}, NS: g.w.ns, Owner: o, Task: taskName, Path: g.path, Largest: 1 << 30,
		Opener: &wire.Opener{NS: g.w.ns, Limits: wire.Limits{Part: wire.MaxPart}}, Agent: "test",
		Take: func(_ context.Context, m *follow.Model) error {
			g.mu.Lock()
			defer g.mu.Unlock()
			if g.fails[m.Header.Round] > 0 {
				g.fails[m.Header.Round]--
				return errors.New("exit status 7")
			}
			g.took = append(g.took, m.Header.Round)
			return nil
		},
		Has: func() (*wire.Header, time.Time, error) { return g.has, time.Now(), nil },
		Complain: func(err error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.said = append(g.said, err)
		},
	}
	g.w.start(name, func(ctx context.Context) error { return consumer.Run(ctx, cfg) })
}

// taken are the versions that it took so far.
func (g *gateway) taken() []uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.took)
}

// complaints are what it said so far.
func (g *gateway) complaints() []error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.said)
}

// cannot has it fail so often at a version.
func (g *gateway) cannot(version uint64, times int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fails[version] = times
}

// left is how often it still fails at a version.
func (g *gateway) left(version uint64) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fails[version]
}

func (g *gateway) topic(leaf string) string { return namespace + "/" + g.path + "/_fl_v1/" + leaf }

// status is what the broker has of it, and its presence.
func (g *gateway) status() (v views.Consumer, s views.State) {
	g.w.t.Helper()
	check(g.w.t, json.Unmarshal(g.w.retained(g.topic(taskName+"/status")), &v))
	check(g.w.t, json.Unmarshal(g.w.retained(g.topic("state")), &s))
	check(g.w.t, g.w.schemas.Check(topics.Status, g.w.retained(g.topic(taskName+"/status"))))
	return v, s
}

// A consumer takes each version that is released and no other, says which one it runs,
// tries again what it could not take, and is back after a broker that has forgotten all.
func TestConsumer(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Release = 6, &aggregator.Release{Approve: aggregator.ApproveAuto}
		g := w.gateway(three[0] + "/scoring")
		g.cannot(4, 2)
		w.aggregate(task)
		// Version            0  1  2   3  4  5  6
		losses := []float64{99, 9, 8, 50, 7, 8, 9}
		for i, m := range three {
			w.join(m, judge{walker{rows: 10 + i, takes: 5 * time.Second}, losses})
		}
		w.recorded(5, "committed", 5*time.Minute)
		time.Sleep(2 * time.Second)
		if v, s := g.status(); v.Version == nil || *v.Version != 2 || v.From != wire.KindReleased || v.Failed == nil || v.Failed.Version != 4 || !s.Online || !slices.Equal(s.Roles, []string{"consumer"}) {
			t.Errorf("status %s, state %+v; took %v", views.JSON(v), s, g.taken())
		}
		w.finished(5 * time.Minute)
		time.Sleep(2 * time.Minute)
		v, _ := g.status()
		if v.Version == nil || *v.Version != 4 || v.Content != w.model(4).String() || v.Failed != nil {
			t.Errorf("status %+v at the end", v)
		}
		if !slices.Equal(g.taken(), []uint64{1, 2, 4}) || len(g.complaints()) != 2 || !strings.Contains(g.complaints()[1].Error(), "version 4: exit status 7; again in 20s") {
			t.Errorf("took %v, said %v", g.taken(), g.complaints())
		}
		w.stopBroker()
		w.startBroker()
		time.Sleep(2 * time.Minute)
		if v, s := g.status(); v.Version == nil || *v.Version != 4 || !s.Online {
			t.Errorf("status %+v, %+v after a broker that has forgotten it", v, s)
		}
		took := len(g.taken())
		w.bar(g.path)
		w.cut(g.path)
		if _, s := g.status(); s.Online {
			t.Error("its Last Will says that it is online")
		}
		w.bar("")
		time.Sleep(2 * time.Minute)
		if _, s := g.status(); !s.Online || len(g.taken()) != took {
			t.Errorf("state %+v after a connection that was lost; took %v", s, g.taken())
		}
		w.end(g.path)
		if _, s := g.status(); s.Online {
			t.Error("its presence says that it is online when it has ended")
		}
		w.endAll()
	})
}

// What its file holds at the start is what a consumer runs: it says so, also while it cannot
// take a newer version, and takes the same one not again.
func TestConsumerStartsAgain(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds = 2
		w.aggregate(task)
		w.join(three[0], judge{walker{rows: 10, takes: time.Second}, []float64{9, 8, 7}})
		w.join(three[1], judge{walker{rows: 10, takes: time.Second}, []float64{9, 8, 7}})
		w.join(three[2], judge{walker{rows: 10, takes: time.Second}, []float64{9, 8, 7}})
		w.finished(5 * time.Minute)
		path := three[0] + "/scoring"
		begin := func(h wire.Header) *gateway {
			g := &gateway{w: w, path: path, fails: map[uint64]int{2: 1}, has: &h}
			g.start(path)
			time.Sleep(5 * time.Second)
			return g
		}
		g := begin(wire.Header{Round: 1, Base: w.model(1)})
		if v, _ := g.status(); v.Version == nil || *v.Version != 1 || v.Content != w.model(1).String() || v.SinceMS == 0 || v.Failed == nil || v.Failed.Version != 2 {
			t.Errorf("status %s with version 1 in the file", views.JSON(v))
		}
		w.end(path)
		g = begin(wire.Header{Round: 2, Base: w.model(2)})
		time.Sleep(time.Minute)
		if v, _ := g.status(); v.Version == nil || *v.Version != 2 || v.From != wire.KindReleased || v.Failed != nil || len(g.taken()) != 0 || g.left(2) != 1 {
			t.Errorf("status %s, took %v with version 2 in the file", views.JSON(v), g.taken())
		}
		w.end(path)
		g = begin(wire.Header{Round: 2, Base: w.model(1)}) // of another origin
		time.Sleep(time.Minute)
		if !slices.Equal(g.taken(), []uint64{2}) {
			t.Errorf("took %v with another model of this number in the file", g.taken())
		}
		w.endAll()
	})
}

// One node is one process: a consumer does not begin where a site is, also while that one is
// away, and gives way to one that comes.
func TestConsumerAtASite(t *testing.T) {
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		w.join(three[0], walker{rows: 10, takes: time.Second})
		time.Sleep(10 * time.Second)
		refused := func(when string) {
			t.Helper()
			if err := w.leave(three[0] + " consumer"); !errors.Is(err, consumer.ErrNode) || !strings.Contains(err.Error(), "want a path of its own, such as "+three[0]+"/scoring") {
				t.Errorf("%s: %v", when, err)
			}
		}
		begin := func() {
			g := &gateway{w: w, path: three[0]}
			g.start(three[0] + " consumer")
			time.Sleep(10 * time.Second)
		}
		begin()
		refused("beside a site")
		w.end(three[0])
		begin()
		refused("where a site was")
		w.client("clears").say(namespace+"/"+three[0]+"/_fl_v1/state", nil, true)
		begin()
		w.join(three[0], walker{rows: 10, takes: time.Second})
		time.Sleep(10 * time.Second)
		refused("when a site comes")
		w.endAll()
	})
}

// Where a consumer is, is no room for another one: it says so and ends, and the first keeps
// its connection. One that has ended without a word takes a moment, whatever became of its
// Last Will; of two that start together one is left.
func TestConsumerAtAConsumer(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds = 1
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{rows: 10, takes: time.Second})
		}
		w.finished(5 * time.Minute)
		path := three[0] + "/scoring"
		state := func() (s views.State) {
			t.Helper()
			check(t, json.Unmarshal(w.retained(namespace+"/"+path+"/_fl_v1/state"), &s))
			return s
		}
		refused := func(g *gateway, name string) {
			t.Helper()
			err := w.leave(name)
			if !errors.Is(err, consumer.ErrNode) || !strings.Contains(err.Error(), `says that a "consumer" has it (online: true), and one node is one process; want a path of its own, such as `+path+"-2") || len(g.taken()) != 0 {
				t.Errorf("%s: %v, took %v", name, err, g.taken())
			}
		}
		first := w.gateway(path)
		time.Sleep(10 * time.Second)
		has := state().Instance
		since := w.reached(path)
		for _, name := range []string{"second", "third"} {
			g := w.gatewayAs(path, name)
			time.Sleep(10 * time.Second)
			refused(g, name)
			if s := state(); s.Instance != has || !s.Online {
				t.Errorf("after %s the node is that of %+v", name, s)
			}
		}
		if len(first.said) != 2 || !w.reached(path).Equal(since) {
			t.Errorf("the first said %v, and connected at %v and %v", first.said, since, w.reached(path))
		}

		other := w.client("forger")
		gone := w.retained(namespace + "/" + path + "/_fl_v1/state")
		w.end(path)
		other.say(namespace+"/"+path+"/_fl_v1/state", gone, true) // its machine has lost power, as has the broker's
		g := w.gatewayAs(path, "next")
		time.Sleep(3 * time.Second)
		if s := state(); !s.Online || s.Instance == has || len(g.taken()) != 0 {
			t.Errorf("it does not ask: %+v, took %v", s, g.taken())
		}
		time.Sleep(7 * time.Second)
		if len(g.taken()) != 1 {
			t.Errorf("it took %v when nobody had answered", g.taken())
		}
		next := state().Instance
		late, _ := json.Marshal(views.State{Schema: views.StateSchema, Roles: []string{"consumer"}, Instance: "elsewhere"})
		other.say(namespace+"/"+path+"/_fl_v1/state", late, true) // a Last Will, at last
		time.Sleep(time.Second)
		if s := state(); !s.Online || s.Instance != next {
			t.Errorf("after a late Will the node is that of %+v", s)
		}
		w.end("next")
		if s := state(); s.Online {
			t.Errorf("after its end: %+v", s)
		}

		a, b := w.gatewayAs(path, "a"), w.gatewayAs(path, "b")
		time.Sleep(time.Minute)
		errA, errB := w.leave("a"), w.leave("b")
		if errors.Is(errA, consumer.ErrNode) == errors.Is(errB, consumer.ErrNode) || len(a.said)+len(b.said) != 1 {
			t.Errorf("of two at once: %v, %v; said %v, %v", errA, errB, a.said, b.said)
		}
		w.endAll()
	})
}

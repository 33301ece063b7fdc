package examples_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer"
)

// plant is a broker, for those who watch, and the federation on it.
type plant struct {
	broker *broker.Broker
	url    string
	done   chan string // why the task has ended
}

// shift is a trainer: the mean of its numbers. It declines its round 2.
type shift struct {
	x       []float32
	decline bool
}

func (s *shift) Samples() int { return len(s.x) }

func (s *shift) Train(_ context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	if s.decline && job.Round == 2 {
		return nil, errors.New("not now")
	}
	w, err := global.Float32s("layers.0.bias")
	if err != nil {
		return nil, err
	}
	for i, x := range s.x {
		w[0] += 0.1 * (x - w[0])
		job.Report(i+1, len(s.x))
	}
	local := global.Clone()
	return local, local.SetFloat32s("layers.0.bias", w)
}

func (s *shift) Evaluate(_ context.Context, _ trainer.Job, global *model.Model) (trainer.Evaluation, error) {
	w, err := global.Float32s("layers.0.bias")
	if err != nil {
		return trainer.Evaluation{}, err
	}
	m := trainer.Metrics{trainer.SumN: float64(len(s.x))}
	for _, x := range s.x {
		d := float64(x - w[0])
		m[trainer.SumSE] += d * d
		m[trainer.SumLoss] += d * d / 2
	}
	return trainer.Evaluation{Metrics: m}, nil
}

// newPlant runs an open broker until the test ends.
func newPlant(t *testing.T) *plant {
	t.Helper()
	ns, err := topics.New("acme")
	check(t, err)
	b, err := broker.New(broker.Config{TCP: "127.0.0.1:0", Namespace: ns, Open: true})
	check(t, err)
	check(t, b.Listen())
	p := &plant{broker: b, url: "tcp://" + b.Addrs().TCP, done: make(chan string, 1)}
	p.spawn(t, b.Run)
	<-b.Ready()
	return p
}

// spawn runs what ends with its context, before the test does.
func (p *plant) spawn(t *testing.T, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// federate starts two wells and their aggregator.
func (p *plant) federate(t *testing.T, rounds uint64) {
	t.Helper()
	init, err := model.Arch{Kind: "linear", Inputs: 1, Outputs: 1}.New(false)
	check(t, err)
	agg := aggregator.Config{
		Broker: p.url, Namespace: "acme", DataDir: t.TempDir(),
		Tasks: []aggregator.Task{{
			Name: "events", Members: []string{"+/sensors"}, Rounds: rounds, StartWhen: 2, Init: init, Deadline: time.Minute,
		}},
		OnEnd: func(_ string, _ bool, reason string) { p.done <- reason },
	}
	p.spawn(t, func(ctx context.Context) error { return aggregator.Run(ctx, agg) })
	for i, member := range []string{"well-01/sensors", "well-02/sensors"} {
		cfg := site.Config{
			Broker: p.url, Namespace: "acme", Member: member, DataDir: t.TempDir(),
			Tasks: []site.Task{{Name: "events", Trainer: &shift{x: []float32{1, 2, 3}, decline: i == 1}}},
		}
		p.spawn(t, func(ctx context.Context) error { return site.Run(ctx, cfg) })
	}
}

// ended waits until the task has.
func (p *plant) ended(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		t.Fatal("the task has not ended after a minute")
	}
}

// eventually asks again and again.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(within)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited %s in vain for %s", within, what)
		}
	}
}

// watched runs a federation to its end and returns what it said, by topic.
func watched(t *testing.T) map[string][]map[string]any {
	t.Helper()
	p := newPlant(t)
	var mu sync.Mutex
	said := map[string][]map[string]any{}
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(p.url).SetClientID("screen").SetOrderMatters(true))
	wait := func(token mqtt.Token) {
		if !token.WaitTimeout(10*time.Second) || token.Error() != nil {
			t.Fatalf("the watcher: %v", token.Error())
		}
	}
	wait(client.Connect())
	t.Cleanup(func() { client.Disconnect(100) })
	for _, r := range watcherRules(t) {
		wait(client.Subscribe(r.Filter, 1, func(_ mqtt.Client, m mqtt.Message) {
			var v map[string]any
			if err := json.Unmarshal(m.Payload(), &v); err != nil {
				t.Errorf("%s: %v", m.Topic(), err)
			}
			mu.Lock()
			defer mu.Unlock()
			said[m.Topic()] = append(said[m.Topic()], v)
		}))
	}
	p.federate(t, 3)
	p.ended(t)
	eventually(t, 10*time.Second, "the last view of the round", func() bool {
		mu.Lock()
		defer mu.Unlock()
		views := said["acme/_fl_v1/events/round"]
		return len(views) > 0 && views[len(views)-1]["reason"] == "finished" && len(said["acme/_fl_v1/events/kpi/rmse"]) > 0 &&
			slices.ContainsFunc(said["acme/_fl_v1/events/event"], func(v map[string]any) bool { return v["event"] == "declined" })
	})
	mu.Lock()
	defer mu.Unlock()
	return said
}

// has tells whether one of the messages on the topics that filter matches has
// the value at a dotted path.
func has(said map[string][]map[string]any, filter, path string) bool {
	for topic, messages := range said {
		if !topics.Match(filter, topic) {
			continue
		}
		for _, m := range messages {
			var v any = m
			for key := range strings.SplitSeq(path, ".") {
				if key == "#" || key == "0" || strings.HasPrefix(key, "@") { // of an array: how many, the first; all of a value
					break
				}
				o, _ := v.(map[string]any)
				v = o[key]
			}
			if v != nil {
				return true
			}
		}
	}
	return false
}

// isWatchers wants a filter that a watcher of the example may subscribe to.
func isWatchers(t *testing.T, filter string) {
	t.Helper()
	for _, r := range watcherRules(t) {
		if topics.Contains(r.Filter, filter) {
			return
		}
	}
	t.Errorf("%s is none of the filters of a watcher", filter)
}

// watcherRules are what a watcher of the namespace acme may do.
func watcherRules(t *testing.T) []topics.Rule {
	t.Helper()
	ns, err := topics.New("acme")
	check(t, err)
	filter, err := topics.ParseMemberFilter("+/sensors")
	check(t, err)
	return ns.Rules(topics.Party{Role: topics.RoleWatcher, Members: []topics.MemberFilter{filter}})
}

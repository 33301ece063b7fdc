package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// Where wildcards bring nothing that is retained, all is found by name: parts by what
// the first of a slot says, members by the paths that are known.
func TestClearWithoutWildcards(t *testing.T) {
	t.Parallel()
	b, err := broker.New(broker.Config{Open: true, TCP: "127.0.0.1:0", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	<-b.Ready()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	o, err := ns.Owner("", "line")
	if err != nil {
		t.Fatal(err)
	}
	m, err := ns.Member("berlin/line-1", "line")
	if err != nil {
		t.Fatal(err)
	}
	x := &clearing{
		flags: clientFlags{Broker: "tcp://" + b.Addrs().TCP}, log: zerolog.Nop(), ns: ns, task: "line", owner: o,
		paths: []string{"berlin/line-1"}, names: []string{"rmse"}, denied: map[string]bool{}, done: map[string]bool{},
	}
	for _, f := range x.wide() {
		x.denied[f] = true // what a broker that ignores them comes to
	}
	retain := map[string][]byte{
		o.Round(): []byte(`{"phase":"halted","reason":"finished"}`), o.KPI("rmse"): []byte("1"), m.Status(): []byte("{}"), o.State(): []byte(`{"online":false}`),
	}
	for slot, count := range map[int]int{0: 12, 5: 3} {
		for i := range count {
			retain[o.ModelPart(slot, i)] = wire.AppendPart(nil, wire.Part{Index: uint32(i), Count: uint32(count), Data: []byte{1}})
		}
	}
	p, err := x.probe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for topic, payload := range retain {
		if _, err := p.Publish(ctx, 1, link.Message{Topic: topic, Payload: payload, QoS: 1, Retained: true}); err != nil {
			t.Fatal(err)
		}
	}
	p.Close()
	found, err := x.find(ctx)
	if err != nil || len(found) != len(retain) {
		t.Errorf("%d of %d topics are found: %v", len(found), len(retain), err)
	}
	if err := x.all(ctx, found); err != nil {
		t.Error(err)
	}
	if n := b.Stats().Retained; n != 1 {
		t.Errorf("%d topics are left, want the owner's presence alone", n)
	}
	cancel()
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A task is refused while it runs, and while it has not ended.
func TestClearRuns(t *testing.T) {
	t.Parallel()
	ns, _ := topics.New("acme")
	o, _ := ns.Owner("", "line")
	state := func(online bool, tasks string) string {
		return fmt.Sprintf(`{"online":%v,"roles":["aggregator"],"tasks":[%s]}`, online, tasks)
	}
	x := &clearing{owner: o, task: "line"}
	for _, c := range []struct {
		state, round string
		may          bool
	}{
		{"", "", true},
		{state(false, `"line"`), `{"phase":"halted","reason":"finished"}`, true},
		{state(false, `"line"`), `{"phase":"halted","reason":"stopped"}`, true},
		{state(true, `"other"`), `{"phase":"halted","reason":"finished"}`, true},
		{state(true, `"line"`), `{"phase":"halted","reason":"finished"}`, false},
		{state(false, `"line"`), `{"phase":"halted","reason":"paused"}`, false},
		{state(false, `"line"`), `{"phase":"open"}`, false},
		{"", `{"phase":"idle"}`, false},
	} {
		found := map[string][]byte{o.State(): []byte(c.state), o.Round(): []byte(c.round)}
		if why := x.runs(found); (why == "") != c.may {
			t.Errorf("state %s, round %s: %q", c.state, c.round, why)
		}
	}
}

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/site"
)

// stoppable runs something until stop is called or the test ends.
func stoppable(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// small is a federation of three sites of which two are a quorum.
type small struct {
	t    *testing.T
	addr string
	dirs map[string]string
	hung atomic.Bool // the trainer of lyon
}

func (s *small) broker() (stop func()) {
	s.t.Helper()
	b, err := broker.New(broker.Config{TCP: s.addr, Open: true})
	if err == nil {
		err = b.Listen()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	stop = stoppable(s.t, b.Run)
	<-b.Ready()
	s.addr = b.Addrs().TCP
	return stop
}

func (s *small) aggregator(rounds uint64) (stop func()) {
	s.t.Helper()
	schema, err := model.NewSchema(model.Spec{Name: "w", DType: model.F32, Shape: []int{32}})
	if err != nil {
		s.t.Fatal(err)
	}
	cfg := aggregator.Config{
		Broker: "tcp://" + s.addr, Namespace: "acme", DataDir: s.t.TempDir(),
		Tasks: []aggregator.Task{{
			Name: "press-quality", Members: []string{"+/+"}, Rounds: rounds, StartWhen: 3, Quorum: 2,
			Deadline: 3 * time.Second, Init: model.New(schema),
		}},
	}
	return stoppable(s.t, func(ctx context.Context) error { return aggregator.Run(ctx, cfg) })
}

func (s *small) site(member string) (stop func()) {
	s.t.Helper()
	if s.dirs[member] == "" {
		s.dirs[member] = s.t.TempDir()
	}
	p := pull{pace: 300 * time.Millisecond, hung: new(atomic.Bool)}
	if strings.HasPrefix(member, "lyon") {
		p.hung = &s.hung
	}
	for i := range 32 {
		p.own = append(p.own, float32(len(member)+i%5))
	}
	cfg := site.Config{
		Broker: "tcp://" + s.addr, Namespace: "acme", Member: member, DataDir: s.dirs[member],
		Tasks: []site.Task{{Name: "press-quality", Trainer: p}},
	}
	return stoppable(s.t, func(ctx context.Context) error { return site.Run(ctx, cfg) })
}

// says waits until an element's text holds each of the words.
func (b *tab) says(id string, words ...string) {
	b.t.Helper()
	for _, w := range words {
		b.until(w, fmt.Sprintf(`document.querySelector(%q).innerText.includes(%q)`, id, w))
	}
}

// both takes the picture of a state on a desk and on a phone.
func (b *tab) both(name string) {
	b.t.Helper()
	eval[any](b, `document.querySelector("#toast").hidden = true`)
	b.picture("stands-"+name+".png", 1240, 900, "light")
	b.picture("stands-"+name+"-phone.png", 390, 844, "light")
}

// TestPageStands: what the page says when a site hangs, when the quorum is not
// here, when an operator has paused, without the broker, and after the end.
func TestPageStands(t *testing.T) {
	chromium(t)
	s := &small{t: t, addr: "127.0.0.1:0", dirs: map[string]string{}}
	stopBroker := s.broker()
	b := openTab(t, serveDashboard(t, "tcp://"+s.addr))
	s.aggregator(16)
	stopBerlin, stopLyon := s.site("berlin/press-1"), s.site("lyon/press-2")
	b.says("#headline", "Waiting for 1 more site", "2 of 3 here. Start it, or send start to begin without.")
	stopGera := s.site("gera/press-3")
	b.until("some rounds", `document.querySelectorAll("#records tr").length > 4`)

	s.hung.Store(true)
	b.says("#headline", "Not asked: lyon/press-2, not responding for")
	b.says("#sites-body", "lost not responding since")
	b.says("#cap-metric", "the cohort changed, last in round", "from 3 to 2 sites")
	b.both("hung")

	stopGera()
	b.says("#headline", "Waiting for 1 more site: 1 of 2 here. Missing: gera/press-3, offline for", "lyon/press-2, not responding for", "Start one of them, or lower quorum.")
	b.says("#records", "1/2 for the next attempt")
	b.both("waiting")

	stopGera = s.site("gera/press-3")
	s.hung.Store(false)
	b.says("#phase", "open")
	eval[any](b, `sessionStorage.setItem("fedmq-token", "`+testToken+`")`)
	b.command("pause")
	b.says("#headline", "Paused for", "Resume goes on.")
	b.both("paused")
	b.command("resume")
	b.says("#phase", "open")

	stopBroker()
	b.says("#headline", "Not connected to the broker for")
	b.says("#asof", "as of ")
	b.until("no commands", `[...document.querySelectorAll("#commands button")].every((x) => x.disabled)`)
	b.both("broker-gone")
	s.broker()
	b.until("as before", `document.querySelector("#asof").textContent === "" && !document.body.classList.contains("stale")`)

	b.says("#headline", "Finished after 17 rounds: the model is version 17, the best is version ")
	stopBerlin()
	stopLyon()
	stopGera()
	b.until("all have ended in order", `[...document.querySelectorAll("#sites-body tr[data-path]")].every((r) => r.innerText.includes("done it ended with the task"))`)
	b.quiet("")

	late := openTab(t, serveDashboard(t, "tcp://"+s.addr))
	late.until("the whole curve, for who comes after the end", `document.querySelectorAll("#records tr").length === 17 && document.querySelector("#cap-metric").textContent.includes("Now ")`)
	late.until("all have ended in order", `document.querySelectorAll("#sites-body .s.done").length === 3`)
	late.both("finished")
	late.quiet("")
}

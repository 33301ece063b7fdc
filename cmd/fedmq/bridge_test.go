package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/broker"
	"github.com/fedmq/fedmq/internal/proc"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/site"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// mosquitto runs a broker with lines of configuration and returns its address.
func mosquitto(t *testing.T, lines string) string {
	t.Helper()
	exe, err := exec.LookPath("mosquitto")
	if err != nil {
		for _, p := range []string{"/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"} {
			if _, e := os.Stat(p); e == nil {
				exe, err = p, nil
			}
		}
	}
	if err != nil {
		t.Skip("mosquitto is not installed")
	}
	port, err := proc.Port()
	if err != nil {
		t.Fatal(err)
	}
	addr := "127.0.0.1:" + port
	conf := filepath.Join(t.TempDir(), "mosquitto.conf")
	if err := os.WriteFile(conf, []byte("listener "+port+" 127.0.0.1\nallow_anonymous true\n"+lines), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := proc.Start(exec.Command(exe, "-c", conf), conf+".log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("mosquitto on %s:\n%s", addr, p.Log())
		}
	})
	for end := time.Now().Add(10 * time.Second); ; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			return addr
		}
		if time.Now().After(end) {
			t.Fatalf("mosquitto does not listen: %v\n%s", err, p.Log())
		}
	}
}

// cable is a line to an address that can be cut.
type cable struct {
	ln net.Listener
	to string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{ln: ln, to: to, conns: map[net.Conn]bool{}}
	var goes sync.WaitGroup
	goes.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			goes.Go(func() { c.join(near) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); c.set(true); goes.Wait() })
	return c
}

func (c *cable) join(near net.Conn) {
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		_ = near.Close()
		return
	}
	c.mu.Lock()
	c.conns[near], c.conns[far] = true, true
	cut := c.cut
	c.mu.Unlock()
	if cut {
		c.set(true)
	}
	end := func() { _ = near.Close(); _ = far.Close() }
	go func() { _, _ = io.Copy(far, near); end() }()
	_, _ = io.Copy(near, far)
	end()
}

// set cuts the cable, or mends it.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	if cut {
		for conn := range c.conns {
			_ = conn.Close()
			delete(c.conns, conn)
		}
	}
}

// stepper is a trainer whose training in round 2 waits for the gate.
type stepper struct {
	gate    chan struct{}
	trained *atomic.Int32
}

func (stepper) Samples() int { return 10 }

func (s stepper) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	if job.Round == 2 {
		select {
		case <-s.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	s.trained.Add(1)
	out := global.Clone()
	v, err := out.Float32s("w")
	if err != nil {
		return nil, err
	}
	rnd := job.Rand()
	for i := range v {
		v[i] += rnd.Float32()
	}
	return out, out.SetFloat32s("w", v)
}

// embedded runs this program's broker.
func embedded(t *testing.T) string {
	t.Helper()
	b, err := broker.New(broker.Config{Open: true, TCP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	<-b.Ready()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return b.Addrs().TCP
}

// A federation across the bridge of a plant's Mosquitto, made of what the command
// prints. The line between the brokers is cut while updates are sent: nothing is
// lost, nothing is trained twice, and the plant's broker has the model meanwhile.
func TestBridge(t *testing.T) {
	t.Parallel()
	t.Run("mosquitto", func(t *testing.T) { t.Parallel(); crossBridge(t, mosquitto(t, "")) })
	t.Run("embedded", func(t *testing.T) { t.Parallel(); crossBridge(t, embedded(t)) })
}

func crossBridge(t *testing.T, hq string) {
	t.Helper()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	line := newCable(t, hq)
	members, err := memberFilters([]string{"berlin/+"})
	if err != nil {
		t.Fatal(err)
	}
	var conf bytes.Buffer
	if err := mosquittoBridge(&conf, ns, "tcp://"+line.ln.Addr().String(), ns.Bridge("", "quality", members, nil)); err != nil {
		t.Fatal(err)
	}
	plant := mosquitto(t, conf.String()+"restart_timeout 1 1\n")

	s, err := model.NewSchema(model.Spec{Name: "w", DType: model.F32, Shape: []int{20_000}})
	if err != nil {
		t.Fatal(err)
	}
	records := make(chan record.Record, 100)
	ctx, cancel := context.WithCancel(context.Background())
	var goes sync.WaitGroup
	defer goes.Wait()
	defer cancel()
	run := func(what string, run func(context.Context) error) {
		goes.Go(func() {
			if err := run(ctx); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	dir := t.TempDir()
	run("aggregator", func(ctx context.Context) error {
		return aggregator.Run(ctx, aggregator.Config{
			Broker: "tcp://" + hq, Namespace: "acme", DataDir: filepath.Join(dir, "aggregator"), PartSize: wire.MinPart,
			Tasks: []aggregator.Task{{
				Name: "quality", Members: []string{"berlin/+"}, Rounds: 3, StartWhen: 3, Quorum: 3, Init: model.New(s), Deadline: time.Hour,
			}},
			OnRecord: func(_ string, r record.Record) { records <- r },
		})
	})
	gate, trained := make(chan struct{}), new(atomic.Int32)
	for i := range 3 {
		member := fmt.Sprintf("berlin/line-%d", i)
		run(member, func(ctx context.Context) error {
			return site.Run(ctx, site.Config{
				Broker: "tcp://" + plant, Namespace: "acme", Member: member, DataDir: filepath.Join(dir, strings.ReplaceAll(member, "/", "-")),
				Tasks: []site.Task{{Name: "quality", Trainer: stepper{gate, trained}}},
			})
		})
	}
	await(t, records, 1)
	awaitPhase(t, plant, "berlin/line-2", "training")
	line.set(true)
	close(gate) // updates are offered into the plant's broker, and wait there
	awaitPhase(t, plant, "berlin/line-2", "sending")
	if got := retainedAt(t, plant, "acme/_fl_v1/quality/model/1/19"); len(got) == 0 {
		t.Error("the plant's broker has no part of the model")
	}
	stayCut(t)
	line.set(false)
	if r := await(t, records, 2); r.Counts()["counted"] != 3 || r.Attempt != 1 {
		t.Errorf("round 2: attempt %d, %v", r.Attempt, r.Counts())
	}
	await(t, records, 3)
	if n := trained.Load(); n != 9 {
		t.Errorf("%d trainings of 3 sites in 3 rounds", n)
	}
}

// stayCut keeps the line cut as long as FEDMQ_BRIDGE_CUT says: FEDMQ_BRIDGE_CUT=3m.
func stayCut(t *testing.T) {
	t.Helper()
	text := os.Getenv("FEDMQ_BRIDGE_CUT")
	if text == "" {
		return
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(d)
}

// docs/howto/bridge.md shows what the command prints, and an access list that lets
// all of it through.
func TestBridgePage(t *testing.T) {
	t.Parallel()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	members, err := memberFilters([]string{"berlin/+"})
	if err != nil {
		t.Fatal(err)
	}
	crossings := ns.Bridge("", "+", members, nil)
	var conf bytes.Buffer
	if err := mosquittoBridge(&conf, ns, "tcp://mqtt.hq.example", crossings); err != nil {
		t.Fatal(err)
	}
	if want := pageBlock(t, "docs/howto/bridge.md", "<!-- bridge:mosquitto -->"); conf.String() != want {
		t.Errorf("the command prints\n%s\nthe page shows\n%s", conf.String(), want)
	}
	acl := strings.Fields(pageBlock(t, "docs/howto/bridge.md", "<!-- bridge:acl -->"))
	for _, x := range crossings {
		allowed := false
		for i, word := range acl {
			allowed = allowed || word == map[bool]string{true: "write", false: "read"}[x.Out] && topics.Contains(acl[i+1], x.Filter)
		}
		if !allowed {
			t.Errorf("the access list does not let %s through", x.Filter)
		}
	}
}

// await returns the record of a round.
func await(t *testing.T, records <-chan record.Record, round uint64) record.Record {
	t.Helper()
	late := time.After(60 * time.Second)
	for {
		select {
		case r := <-records:
			if r.Round == round {
				return r
			}
		case <-late:
			t.Fatalf("no record of round %d", round)
		}
	}
}

// retainedAt is what a broker hands to a new subscriber of a topic.
func retainedAt(t *testing.T, broker, topic string) []byte {
	t.Helper()
	var got []byte
	heardUntil(t, broker, topic, func(payload []byte) bool { got = payload; return true })
	return got
}

// awaitPhase waits for a status of a site.
func awaitPhase(t *testing.T, broker, member, phase string) {
	t.Helper()
	heardUntil(t, broker, "acme/"+member+"/_fl_v1/quality/status", func(payload []byte) bool {
		return bytes.Contains(payload, []byte(`"phase":"`+phase+`"`))
	})
}

// heardUntil hands over what arrives on a topic until it is enough.
func heardUntil(t *testing.T, broker, topic string, enough func([]byte) bool) {
	t.Helper()
	conn, err := net.Dial("tcp", broker)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := errors.Join(conn.SetDeadline(time.Now().Add(30*time.Second)), subscribeRaw(conn, topic)); err != nil {
		t.Fatal(err)
	}
	for {
		payload, err := nextRaw(conn)
		if err != nil {
			t.Fatalf("%s: %v", topic, err)
		}
		if payload != nil && enough(payload) {
			return
		}
	}
}

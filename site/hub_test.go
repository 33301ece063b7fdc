package site

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

const (
	testNS     = "acme"
	testMember = "berlin/line-1"
	testTask   = "quality"
)

var testOrigin = wire.Nonce{0x0f}

// hub is a real mochi over net.Pipe with a scripted aggregator inside: it says
// what the test tells it to say, and keeps what it hears.
type hub struct {
	mochi.HookBase
	t     *testing.T
	srv   *mochi.Server
	owner topics.Owner
	epoch uint64
	later string // members of a later version at the end of what it says
	key   *wire.Signer
	keys  []wire.Key // of the sites, nil: unsigned

	mu    sync.Mutex
	heard []packets.Packet
	subs  []string // filters asked for
	away  atomic.Bool
	lose  func() bool   // what the broker acknowledges and loses of parts
	hold  chan struct{} // parts are heard, and acknowledged when it is closed
	conns sync.WaitGroup
}

func newHub(t *testing.T) *hub {
	t.Helper()
	ns, err := topics.New(testNS)
	if err != nil {
		t.Fatal(err)
	}
	h := &hub{t: t, epoch: 1, srv: mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})}
	if h.owner, err = ns.Owner("", testTask); err != nil {
		t.Fatal(err)
	}
	if err := h.srv.AddHook(h, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.conns.Wait)
	h.idle()
	return h
}

func (h *hub) ID() string { return "hub" }

func (h *hub) Provides(k byte) bool {
	return bytes.IndexByte([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish, mochi.OnWillSent, mochi.OnSubscribe}, k) >= 0
}

func (h *hub) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (h *hub) OnACLCheck(*mochi.Client, string, bool) bool              { return true }
func (h *hub) OnWillSent(_ *mochi.Client, pk packets.Packet)            { h.hear(pk) }
func (h *hub) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	h.mu.Lock()
	hold, lose := h.hold, h.lose
	h.mu.Unlock()
	if lose != nil && strings.HasSuffix(pk.TopicName, "/part") && lose() {
		return pk, packets.CodeSuccessIgnore
	}
	h.hear(pk)
	if hold != nil && strings.HasSuffix(pk.TopicName, "/part") {
		<-hold
	}
	return pk, nil
}

func (h *hub) OnSubscribe(_ *mochi.Client, pk packets.Packet) packets.Packet {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range pk.Filters {
		h.subs = append(h.subs, f.Filter)
	}
	return pk
}

func (h *hub) hear(pk packets.Packet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard = append(h.heard, pk)
}

func (h *hub) dial(context.Context) (net.Conn, error) {
	if h.away.Load() {
		return nil, errors.New("no broker")
	}
	client, server := net.Pipe()
	h.conns.Go(func() { _ = h.srv.EstablishConnection("pipe", server) })
	return client, nil
}

// down keeps the broker from being reached.
func (h *hub) down(away bool) { h.away.Store(away) }

// cut ends all connections without a word.
func (h *hub) cut() {
	for _, cl := range h.srv.Clients.GetAll() {
		if !cl.Net.Inline {
			cl.Stop(errors.New("cut by the test"))
		}
	}
}

// payloads returns what was published on a leaf of the member's since the last
// call of take.
func (h *hub) payloads(leaf string) [][]byte {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	var out [][]byte
	for _, pk := range h.heard {
		if strings.HasSuffix(pk.TopicName, "/"+leaf) {
			out = append(out, pk.Payload)
		}
	}
	return out
}

// forget drops what was heard.
func (h *hub) forget() {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard, h.subs = nil, nil
}

// one returns the only payload of a leaf.
func (h *hub) one(leaf string) []byte {
	h.t.Helper()
	p := h.payloads(leaf)
	if len(p) != 1 {
		h.t.Fatalf("%d messages on %s, want 1; last status %+v", len(p), leaf, h.lastStatus())
	}
	return p[0]
}

// say publishes as the aggregator.
func (h *hub) say(topic string, retained bool, payload []byte) {
	h.t.Helper()
	if err := h.srv.Publish(topic, payload, retained, 1); err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
}

func (h *hub) sealed(hd wire.Header, m wire.Message) []byte {
	h.t.Helper()
	body, err := wire.Encode(m)
	if err != nil {
		h.t.Fatal(err)
	}
	if h.later != "" {
		body = append(body[:len(body)-1], h.later...)
	}
	hd.Task, hd.Sender, hd.Epoch = testTask, testNS, h.epoch
	if hd.Origin.IsZero() {
		hd.Origin = testOrigin
	}
	b, err := wire.Seal(hd, body, h.key)
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

// idle is the order that stands before the first: it says which task there is to join.
func (h *hub) idle() {
	epoch := h.epoch
	h.epoch = 0
	h.order(0, 0, wire.WorkNone, &model.Model{})
	h.epoch = epoch
}

// model publishes a version of the global model.
func (h *hub) model(version uint64, m *model.Model) {
	h.say(h.owner.Model(), true, h.sealed(wire.Header{
		Kind: wire.KindModel, Round: version, Topic: h.owner.Model(), Base: m.ContentID(), Schema: m.Schema.Hash(), Encoding: wire.EncodingDense,
	}, wire.Model{Version: version, Tensors: m}))
}

// order publishes an order on a base.
func (h *hub) order(round uint64, attempt uint32, work string, base *model.Model, change ...func(*wire.Order)) {
	o := wire.Order{
		Work: work, ValidFrom: 1, DeadlineMS: 60_000, HeartbeatMS: 30_000, GridB: 6, GridW: 30, Cap: 100, Weights: "samples",
		Settings: json.RawMessage(`{"lr":0.5}`), Seed: 7, Instance: wire.Nonce{1}, CohortSize: 1,
		SampleThreshold: wire.SampleAll, PartSize: wire.DefaultPart,
	}
	for _, f := range change {
		f(&o)
	}
	h.say(h.owner.Order(), true, h.sealed(wire.Header{
		Kind: wire.KindOrder, Round: round, Attempt: attempt, Topic: h.owner.Order(), Base: base.ContentID(), Schema: base.Schema.Hash(),
	}, o))
}

func (h *hub) reply(m wire.Reply) {
	topic := h.owner.Reply(testMember)
	h.say(topic, false, h.sealed(wire.Header{Kind: wire.KindReply, Topic: topic}, m))
}

// commit publishes the head of a committed record in which the member counts.
func (h *hub) commit(round uint64, base, next *model.Model, content model.Hash) {
	h.t.Helper()
	h.commitOf(testTask, round, base, next, content)
}

func (h *hub) commitOf(task string, round uint64, base, next *model.Model, content model.Hash) {
	h.t.Helper()
	r := record.Record{
		Owner: testNS, Task: task, Round: round, Attempt: 1, Epoch: h.epoch, Verdict: record.Committed, Work: wire.WorkTrain,
		Base: base.ContentID(), Model: next.ContentID(), Version: round, Origin: testOrigin,
		Entries: record.Entries{{Member: testMember, Index: 3, Content: content, Samples: 10, Weight: 10, Verdict: verdict.Counted}},
	}
	var key crypto.Signer // nil without one
	if h.key != nil {
		key = h.key
	}
	sealed, err := r.Seal(key)
	if err != nil {
		h.t.Fatal(err)
	}
	b, err := sealed.Head(key)
	if err != nil {
		h.t.Fatal(err)
	}
	h.say(h.owner.Record(), true, b)
}

// update opens the only update heard.
func (h *hub) update() (wire.Header, wire.Contribution, []byte) {
	h.t.Helper()
	b := h.one("update")
	hd, body := h.open("update", b)
	c, err := wire.DecodeUpdate(body, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return hd, c, b
}

func (h *hub) open(leaf string, b []byte) (wire.Header, []byte) {
	h.t.Helper()
	ns, _ := topics.New(testNS)
	o := wire.Opener{NS: ns, Owner: testNS}
	if h.keys != nil {
		var err error
		if o.Keys, err = wire.NewKeys(h.keys...); err != nil {
			h.t.Fatal(err)
		}
	}
	hd, body, err := o.Open(testNS+"/"+testMember+"/_fl_v1/"+testTask+"/"+leaf, b, wire.Bound{})
	if err != nil {
		h.t.Fatal(err)
	}
	return hd, body
}

// welcome answers the join that came.
func (h *hub) welcome() {
	h.t.Helper()
	if len(h.payloads("join")) == 0 {
		h.t.Fatal("no join")
	}
	h.reply(wire.Welcome{Index: 3, FromRound: 1, FromAttempt: 1})
}

// lastStatus is the newest status heard of the task.
func (h *hub) lastStatus() Status {
	h.t.Helper()
	var s Status
	if p := h.payloads(testTask + "/status"); len(p) > 0 {
		if err := json.Unmarshal(p[len(p)-1], &s); err != nil || s.Schema != StatusSchema || len(p[len(p)-1]) > 16<<10 {
			h.t.Fatalf("status %s: %v", p[len(p)-1], err)
		}
	}
	return s
}

func (h *hub) wantPhase(want Phase) Status {
	h.t.Helper()
	s := h.lastStatus()
	if s.Phase != want {
		h.t.Fatalf("status %+v, want phase %s", s, want)
	}
	return s
}

// lastState is the newest presence heard.
func (h *hub) lastState() State {
	h.t.Helper()
	p := h.payloads("_fl_v1/state")
	if len(p) == 0 {
		h.t.Fatal("no state")
	}
	var s State
	if err := json.Unmarshal(p[len(p)-1], &s); err != nil || s.Schema != StateSchema {
		h.t.Fatalf("state %s: %v", p[len(p)-1], err)
	}
	return s
}

// life runs a site in the bubble; stop ends it and returns Run's error.
func (h *hub) life(cfg Config) (stop func() error) {
	synctest.Wait() // the broker has let go of the life before, and takes no subscription of this one with it
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg) }()
	once := sync.OnceValue(func() error { cancel(); return <-done })
	h.t.Cleanup(func() { _ = once() })
	synctest.Wait()
	return once
}

func (h *hub) config(tr *fake) Config {
	return Config{
		Namespace: testNS, Member: testMember, Tasks: []Task{{Name: testTask, Trainer: tr}}, Dial: h.dial,
		Rand: rand.NewChaCha8([32]byte{1}), disk: &memory{},
	}
}

// sign gives the hub and a site keys of their own.
func (h *hub) sign(cfg *Config) {
	h.t.Helper()
	signer := func(seed byte) (*wire.Signer, ed25519.PublicKey) {
		k := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
		s, err := wire.NewSigner(k)
		if err != nil {
			h.t.Fatal(err)
		}
		return s, k.Public().(ed25519.PublicKey)
	}
	var pub ed25519.PublicKey
	h.key, pub = signer(1)
	cfg.Keys = []wire.Key{{Role: topics.RoleAggregator, Public: pub}}
	cfg.Signer, pub = signer(2)
	cfg.MinSecurity = SecuritySign
	h.keys = []wire.Key{{Path: testMember, Role: topics.RoleSite, Public: pub}}
	if h.srv != nil {
		h.idle()
	}
}

// wait lets the bubble's time pass.
func wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

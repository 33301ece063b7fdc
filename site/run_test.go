package site

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// One round: presence, join, order, update, receipt, record, the next round,
// and a polite end.
func TestRound(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		stop := h.life(h.config(tr))
		if s := h.lastState(); !s.Online || !slices.Equal(s.Tasks, []string{testTask}) {
			t.Fatalf("state %+v", s)
		}
		_, body := h.open("join", h.one("join"))
		if j, err := wire.DecodeJoin(body); err != nil || j.Samples != 10 || j.Instance == (wire.Nonce{}) {
			t.Fatalf("join %+v, %v", j, err)
		}
		h.welcome()
		base := weights(t, 1, 2)
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base)
		hd, c, _ := h.update()
		u := c.(wire.Update)
		w, err := u.Tensors.Float32s("w")
		if err != nil || !slices.Equal(w, []float32{0.5, 0.5}) || len(u.Tensors.Schema) != 1 {
			t.Fatalf("delta %v, %v, %v", w, u.Tensors.Schema, err)
		}
		if hd.Round != 1 || hd.Attempt != 1 || hd.Epoch != 1 || hd.Base != base.ContentID() || hd.Schema != base.Schema.Hash() || u.Samples != 10 {
			t.Fatalf("header %+v, %d samples", hd, u.Samples)
		}
		if len(u.Metrics) != 2 || u.Metrics[trainer.SumLoss] != 4 {
			t.Fatalf("metrics %v", u.Metrics)
		}
		h.wantPhase(PhaseSending)
		h.reply(wire.Receipt{Round: 1, Attempt: 1, Content: u.Content()})
		h.wantPhase(PhaseWaiting)
		next := weights(t, 1.5, 2.5)
		h.model(1, next)
		h.commit(1, base, next, u.Content())
		if s := h.wantPhase(PhaseWaiting); s.Message != verdict.Counted.String() || s.Metrics["loss"] != 1 {
			t.Fatalf("status %+v", s)
		}
		h.forget()
		h.order(2, 1, wire.WorkTrain, next)
		if hd, _, _ := h.update(); hd.Round != 2 || hd.Base != next.ContentID() {
			t.Fatalf("header %+v", hd)
		}
		h.forget()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if s := h.lastState(); s.Online || len(h.payloads("state")) != 1 {
			t.Fatalf("state %+v", s)
		}
	})
}

// A site that ends between the outbox and the receipt sends the same bytes
// again and does not train again, wherever its model comes from.
func TestRestart(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		bubble.Test(t, func(t *testing.T) { checkRestart(t, "") })
	})
	t.Run("directory", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		bubble.Test(t, func(t *testing.T) { checkRestart(t, dir) })
	})
}

func checkRestart(t *testing.T, dir string) {
	h, tr := newHub(t), &fake{}
	cfg := h.config(tr)
	if dir != "" {
		cfg.disk, cfg.DataDir = nil, dir
	}
	stop := h.life(cfg)
	base := weights(t, 1, 2)
	h.model(0, base)
	h.order(1, 1, wire.WorkTrain, base)
	h.welcome()
	_, _, first := h.update()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	h.forget()
	stop = h.life(cfg)
	if _, _, again := h.update(); !bytes.Equal(first, again) || tr.trained.Load() != 1 {
		t.Fatalf("other bytes, or trained %d times", tr.trained.Load())
	}
	// Unanswered: again after 10 s +-50 %, then after 20 s +-50 %.
	wait(4900 * time.Millisecond)
	h.one("update")
	wait(41 * time.Second)
	if n := len(h.payloads("update")); n < 3 || n > 5 {
		t.Fatalf("sent %d times in 46 s", n)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	// The model was stored: with the topic cleared the next life trains.
	h.say(h.owner.Model(), true, nil)
	h.life(cfg)
	h.welcome()
	h.forget()
	h.epoch = 2
	h.order(1, 2, wire.WorkTrain, base, func(o *wire.Order) { o.ValidFrom = 2 })
	if hd, _, _ := h.update(); hd.Attempt != 2 || hd.Epoch != 2 || tr.trained.Load() != 2 {
		t.Fatalf("header %+v, trained %d times", hd, tr.trained.Load())
	}
}

// A lost link fires the Will; the site comes back, joins again and sends what
// was not answered.
func TestLinkLost(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.life(h.config(&fake{}))
		h.welcome()
		base := weights(t, 1, 2)
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base)
		h.update()
		h.forget()
		h.cut()
		if s := h.lastState(); s.Online {
			t.Fatalf("no Will: %+v", s)
		}
		wait(15 * time.Second)
		if s := h.lastState(); !s.Online {
			t.Fatalf("not back: %+v", s)
		}
		if len(h.payloads("join")) == 0 || len(h.payloads("update")) == 0 {
			t.Fatalf("%d joins, %d updates", len(h.payloads("join")), len(h.payloads("update")))
		}
	})
}

// A higher order ends the training; the same work of a later attempt does not.
func TestCancel(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{block: make(chan struct{})}
		h.life(h.config(tr))
		h.welcome()
		base, next := weights(t, 1, 2), weights(t, 3, 4)
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base)
		wait(2 * time.Second)
		if s := h.wantPhase(PhaseTraining); s.Progress == nil || *s.Progress != 0.25 {
			t.Fatalf("status %+v", s)
		}
		h.order(1, 2, wire.WorkTrain, base)
		if tr.trained.Load() != 1 || tr.active.Load() != 1 {
			t.Fatal("the same work was started again")
		}
		h.model(1, next)
		h.order(2, 1, wire.WorkTrain, next)
		if tr.trained.Load() != 2 || tr.active.Load() != 1 {
			t.Fatalf("trained %d times, %d active", tr.trained.Load(), tr.active.Load())
		}
		h.order(2, 2, wire.WorkNone, next)
		h.wantPhase(PhaseIdle)
		if tr.active.Load() != 0 || len(h.payloads("update")) != 0 {
			t.Fatal("still training, or sent something")
		}
	})
}

// One gateway trains one task at a time, in order of arrival.
func TestQueue(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, most := newHub(t), &atomic.Int32{}
		tr := &fake{most: most, block: make(chan struct{}), jobs: make(chan trainer.Job, 9)}
		cfg := h.config(tr)
		cfg.Tasks = append(cfg.Tasks, Task{Name: "energy", Trainer: tr})
		h.life(cfg)
		base := weights(t, 1, 2)
		for _, task := range []string{testTask, "energy"} {
			sayAs(t, h, task, base)
		}
		if len(tr.jobs) != 1 {
			t.Fatalf("%d trainers at work", len(tr.jobs))
		}
		tr.block <- struct{}{}
		synctest.Wait()
		if len(tr.jobs) != 2 || most.Load() != 1 {
			t.Fatalf("%d jobs, %d at once", len(tr.jobs), most.Load())
		}
		if a, b := <-tr.jobs, <-tr.jobs; a.Task != testTask || b.Task != "energy" {
			t.Fatalf("%s before %s", a.Task, b.Task)
		}
		tr.block <- struct{}{}
		if n := len(h.payloads("update")); n != 2 {
			t.Fatalf("%d updates", n)
		}
	})
}

// An order with a member that this version lacks is declined, with its name; one
// that may be passed over is (W-44).
func TestOrderOfALaterVersion(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		h.life(h.config(tr))
		h.welcome()
		base := weights(t, 1, 2)
		h.model(0, base)
		h.later = "\x82\xa5?hint\x01\xa6sooner\x01"
		h.order(1, 1, wire.WorkTrain, base)
		_, m, _ := h.update()
		if d, ok := m.(wire.Decline); !ok || d.Reason != wire.DeclineUnsupported || d.Detail != "order: sooner: this version lacks that" || tr.trained.Load() > 0 {
			t.Fatalf("%+v, trained %d times", m, tr.trained.Load())
		}
		h.wantPhase(PhaseError)
		h.forget()
		h.later = "\x81\xa5?hint\x01"
		h.order(1, 2, wire.WorkTrain, base)
		if _, m, _ = h.update(); tr.trained.Load() != 1 {
			t.Errorf("%+v, trained %d times", m, tr.trained.Load())
		}
	})
}

// What a site cannot do it says, with the reason.
func TestDecline(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, reason string
		tr           *fake
		change       func(*wire.Order)
	}{
		{name: "the trainer fails", reason: wire.DeclineFailed, tr: &fake{err: errors.New("no memory")}},
		{name: "the trainer panics", reason: wire.DeclineFailed, tr: &fake{panics: true}},
		{name: "the trainer changes the base", reason: wire.DeclineFailed, tr: &fake{spoil: true}},
		{name: "not finite", reason: wire.DeclineNotFinite, tr: &fake{nan: true}},
		{name: "no data", reason: wire.DeclineNoData, tr: &fake{rows: -1}},
		{name: "unknown setting", reason: wire.DeclineSetting, tr: &fake{known: []string{"lr"}}, change: func(o *wire.Order) { o.Settings = []byte(`{"lr":1,"lrr":1}`) }},
		{name: "bad settings", reason: wire.DeclineFailed, tr: &fake{}, change: func(o *wire.Order) { o.Settings = []byte(`{"rate":1}`) }},
		{name: "unknown work", reason: wire.DeclineUnsupported, tr: &fake{}, change: func(o *wire.Order) { o.Work = wire.WorkInit }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bubble.Test(t, func(t *testing.T) {
				h := newHub(t)
				h.life(h.config(c.tr))
				h.welcome()
				base := weights(t, 1, 2)
				h.model(0, base)
				h.order(1, 1, wire.WorkTrain, base, func(o *wire.Order) {
					if c.change != nil {
						c.change(o)
					}
				})
				hd, m, _ := h.update()
				if d, ok := m.(wire.Decline); !ok || d.Reason != c.reason || hd.Round != 1 || hd.Base != base.ContentID() {
					t.Fatalf("%+v %+v, want a decline for %s", hd, m, c.reason)
				}
				if d := m.(wire.Decline); d.Reason == wire.DeclineSetting && (d.Detail != "lrr, nearest lr" || c.tr.trained.Load() > 0) {
					t.Errorf("%+v, trained %d times", d, c.tr.trained.Load())
				}
				h.wantPhase(PhaseError)
				h.reply(wire.Receipt{Round: 1, Attempt: 1})
				wait(time.Minute)
				h.one("update")
			})
		})
	}
}

// An update whose offer does not fit the order's part size is declined.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.life(h.config(&fake{}))
		h.welcome()
		base := wide(t, 250_000) // 245 parts, and 4,160 bytes for their hashes
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base, func(o *wire.Order) { o.PartSize = wire.MinPart })
		_, m, _ := h.update()
		if d, ok := m.(wire.Decline); !ok || d.Reason != wire.DeclineTooLarge || !strings.Contains(d.Detail, "245 parts, a message may have 4160") {
			t.Fatalf("%T %+v", m, m)
		}
	})
}

func TestStatisticsAndEvaluate(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.life(h.config(&fake{}))
		h.welcome()
		base := weights(t, 1, 2)
		h.model(0, base)
		h.order(1, 1, wire.WorkStatistics, base)
		_, m, _ := h.update()
		u := m.(wire.Update)
		if n, err := u.Tensors.Float64s("n"); err != nil || !slices.Equal(n, []float64{10, 9}) || len(u.Metrics) != 0 {
			t.Fatalf("%+v, %v", u, err)
		}
		h.reply(wire.Settled{Round: 1, Content: u.Content(), Verdict: verdict.Counted.String()})
		h.forget()
		h.order(2, 1, wire.WorkEvaluate, base)
		_, m, _ = h.update()
		if u := m.(wire.Update); u.Tensors != nil || u.Metrics[trainer.SumLoss] != 4 {
			t.Fatalf("%+v", u)
		}
	})
}

// With keys, nothing unsigned and nobody else's voice is obeyed.
func TestSigned(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		cfg := h.config(tr)
		h.sign(&cfg)
		h.life(cfg)
		base, next := weights(t, 1, 2), weights(t, 2, 3)
		key := h.key
		for _, k := range []*wire.Signer{nil, cfg.Signer} {
			h.key = k
			h.reply(wire.Welcome{Index: 3, FromRound: 1, FromAttempt: 1})
			h.model(0, base)
			h.order(1, 1, wire.WorkTrain, base)
		}
		if tr.trained.Load() != 0 {
			t.Fatal("obeyed an order that nobody signed")
		}
		h.key = key
		h.welcome()
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base)
		_, m, _ := h.update()
		content := m.(wire.Update).Content()
		h.key = nil
		h.commit(1, base, next, content)
		h.wantPhase(PhaseSending)
		h.key = key
		h.commit(1, base, next, content)
		h.wantPhase(PhaseWaiting)
	})
}

// A newer instance of this site ends this one, which does not call the node
// offline.
func TestSuperseded(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		done := make(chan error, 1)
		go func() { done <- Run(t.Context(), h.config(&fake{})) }()
		_, body := h.open("join", h.one("join"))
		j, err := wire.DecodeJoin(body)
		if err != nil {
			t.Fatal(err)
		}
		h.reply(wire.Superseded{Instance: wire.Nonce{9}})
		h.reply(wire.Superseded{Instance: j.Instance})
		if err := <-done; !errors.Is(err, ErrSuperseded) {
			t.Fatal(err)
		}
		if !h.lastState().Online {
			t.Fatal("called offline")
		}
	})
}

// Garbage on every topic changes nothing and ends nothing.
func TestHostile(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		var lines bytes.Buffer
		cfg := h.config(&fake{})
		cfg.Log = zerolog.New(&lines)
		stop := h.life(cfg)
		h.welcome()
		base := weights(t, 1, 2)
		good := h.sealed(wire.Header{Kind: wire.KindReply, Topic: h.owner.Reply(testMember)}, wire.Superseded{})
		for _, topic := range []string{h.owner.Order(), h.owner.Model(), h.owner.Record(), h.owner.Reply(testMember)} {
			for _, p := range [][]byte{nil, {}, {0x94}, {0xdd, 0xff, 0xff, 0xff, 0xff}, bytes.Repeat([]byte{0x91}, 100_000), []byte("{}"), []byte(`{"schema":"fedmq.record-head.v1"}`), good[:40], append(slices.Clone(good), 0)} {
				h.say(topic, false, p)
			}
		}
		h.say(h.owner.Order(), false, good) // made for another topic
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base)
		h.update()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(lines.Bytes(), []byte("messages refused")); n == 0 || n > 3 {
			t.Fatalf("%d lines within a second:\n%s", n, lines.String())
		}
		if n := bytes.Count(lines.Bytes(), []byte(`"detail":"`)); n == 0 || bytes.Contains(lines.Bytes(), []byte(`"detail":""`)) {
			t.Errorf("%d lines say what was wrong:\n%s", n, lines.String())
		}
	})
}

// A model whose bytes are not those its header names, and the record of
// another task, are not believed.
func TestLies(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		h.life(h.config(tr))
		h.welcome()
		base, other := weights(t, 1, 2), weights(t, 3, 4)
		h.say(h.owner.Model(), true, h.sealed(wire.Header{
			Kind: wire.KindModel, Topic: h.owner.Model(), Base: base.ContentID(), Schema: base.Schema.Hash(), Encoding: wire.EncodingDense,
		}, wire.Model{Tensors: other}))
		wait(2 * time.Second)
		if s := h.lastStatus(); s.Error != "model not accepted: wrong_base" {
			t.Fatalf("status %+v", s)
		}
		h.order(1, 1, wire.WorkTrain, base)
		wait(time.Minute)
		if tr.trained.Load() != 0 {
			t.Fatal("trained on another model than the order's base")
		}
		h.model(0, base)
		_, m, _ := h.update()
		h.commitOf("energy", 1, base, other, m.(wire.Update).Content())
		h.wantPhase(PhaseSending)
	})
}

// Progress is shown once a second, however often the trainer tells it.
func TestProgress(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{steps: 1000}
		h.life(h.config(tr))
		h.welcome()
		base := weights(t, 1, 2)
		h.model(0, base)
		h.forget()
		h.order(1, 1, wire.WorkTrain, base)
		wait(15 * time.Second)
		if n := len(h.payloads(testTask + "/status")); n < 9 || n > 14 {
			t.Fatalf("%d statuses in 10 s of training", n)
		}
		h.wantPhase(PhaseSending)
	})
}

// Rounds shorter than a person can read are not made of statuses: of many at once the
// first are shown, then the newest once a second.
func TestShortRounds(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{}
		h.life(h.config(tr))
		h.welcome()
		wait(10 * time.Second)
		base := weights(t, 1, 2)
		h.model(0, base)
		shown := 0
		for round := range uint64(20) {
			shown += len(h.payloads(testTask + "/status"))
			h.forget()
			h.order(round+1, 1, wire.WorkTrain, base)
			_, c, _ := h.update()
			h.reply(wire.Receipt{Round: round + 1, Attempt: 1, Content: c.(wire.Update).Content()})
			h.commit(round+1, base, base, c.(wire.Update).Content())
		}
		if shown > 24 {
			t.Errorf("%d statuses of 19 rounds in a moment", shown)
		}
		h.forget()
		wait(time.Second)
		if n, s := len(h.payloads(testTask+"/status")), h.wantPhase(PhaseWaiting); n != 1 || s.Round != 20 {
			t.Errorf("%d statuses a second later, the last %+v", n, s)
		}
	})
}

// The disk's failure ends the site before anything is sent that depends on it.
func TestDiskFails(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		cfg := h.config(&fake{})
		cfg.disk = &memory{fail: errors.New("no space left")}
		if err := Run(t.Context(), cfg); err == nil || err.Error() != "no space left" {
			t.Fatal(err)
		}
		if len(h.payloads("join")) != 0 {
			t.Fatal("joined with a counter that is not saved")
		}
	})
}

// A trainer that does not listen delays the end, and nothing is lost track of.
func TestDeafTrainer(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h, tr := newHub(t), &fake{block: make(chan struct{}), deaf: true}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- Run(ctx, h.config(tr)) }()
		h.welcome()
		base := weights(t, 1, 2)
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base)
		cancel()
		wait(time.Minute)
		if h.lastState().Online || len(done) != 0 {
			t.Fatal("online, or ended while the trainer runs")
		}
		close(tr.block)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// Idle sites beat, status and presence, at the interval of the order.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.life(h.config(&fake{}))
		h.welcome()
		for _, every := range []time.Duration{30 * time.Second, 90 * time.Second} {
			h.forget()
			wait(10 * every)
			for _, leaf := range []string{"_fl_v1/state", testTask + "/status"} {
				if n := len(h.payloads(leaf)); n < 8 || n > 13 {
					t.Errorf("%d messages on %s in 10 times %v", n, leaf, every)
				}
			}
			base := weights(t, 1, 2)
			h.order(1, 1, wire.WorkNone, base, func(o *wire.Order) { o.HeartbeatMS = 90_000 })
			wait(time.Minute) // the beat that was set before
		}
	})
}

// The more members there are, the longer they take to come back, so that the
// broker is not met by all of them at once (S-1).
func TestReconnectIsSpread(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*wire.Order)
		most   time.Duration
	}{
		{"few", func(*wire.Order) {}, 5 * time.Second},
		{"a cohort of 4,000", func(o *wire.Order) { o.CohortSize = 4_000 }, 20 * time.Second},
		{"a tenth of 4,000", func(o *wire.Order) { o.CohortSize, o.HeartbeatMS = 400, 40_000 }, 20 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble.Test(t, func(t *testing.T) {
				h := newHub(t)
				h.life(h.config(&fake{}))
				h.welcome()
				h.order(1, 1, wire.WorkNone, weights(t, 1, 2), tt.change)
				var longest time.Duration
				for range 50 {
					lost := time.Now()
					h.cut()
					wait(time.Millisecond)
					for !h.lastState().Online {
						wait(10 * time.Millisecond)
					}
					longest = max(longest, time.Since(lost))
					wait(time.Minute)
				}
				if longest < tt.most*3/4 || longest > tt.most+time.Second {
					t.Errorf("back after %s at most, want about %s", longest, tt.most)
				}
			})
		})
	}
}

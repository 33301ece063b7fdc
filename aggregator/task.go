package aggregator

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// task drives the round machine of one task.
type task struct {
	a       *aggregator
	cfg     Task
	log     zerolog.Logger
	topics  topics.Owner
	members []topics.MemberFilter
	machine *round.Machine
	state   *round.State // as last saved

	schema  model.Hash
	base    *model.Model // of the open round
	sum     *sum
	offers  map[contentKey]*upload // likewise, of updates in parts
	again   []entry                // updates accepted before the restart, to be accepted again
	keeping *keeping
	telling
	origin   wire.Nonce // of the task
	settings settings   // of the open round
	waited   waited
	cut      wire.Stamp // the attempt that goes on with what the end of the last process cut short

	owed   round.Ready // what the machine wants done
	turned bool        // and it changes what the next message means
	wakeAt int64       // the machine's next tick, in ms
	begun  bool        // the broker was found not to be ahead of the disk

	shown    shown                 // what the broker retained at the start
	claims   map[string]wire.Stamp // members that say they have seen more than the disk knows
	claimed  bool                  // one of them is new
	fencedBy uint64                // epoch of the order that fenced this process
	own      [3]retained           // what should be retained: model, record head, order
	orderOf  wire.Stamp            // the order whose bytes are in own
	modelOf  version               // the model whose bytes are in own

	mender  *transfer.Mender
	shelf   *shelf       // the model's parts; nil: it is inline
	shelved bool         // all of them were on the broker once
	refill  bool         // they are to be published once more, when the order is out
	held    *publication // waits for that
	mendAt  int64        // the mender's next tick, in ms
	found   found        // on the broker when the process began
	layout  layout
	stale   []string    // topics of an earlier layout, to be cleared
	cleared atomic.Bool // they are

	issued map[wire.Stamp]issued // the orders of the open round

	publications uint64 // so far
	flying       bool   // the newest one is with the publisher
	published    bool   // the current order has its PUBACK
	triedAt      int64  // when it was last handed to the publisher
	headDue      bool   // the record's head is to be published by itself

	answers answers
	settled settledCache
	ended   bool // the outcome was reported
}

// contentKey names a decoded contribution until the machine has spoken.
type contentKey struct {
	member  string
	content model.Hash
}

// loadTask reads a task back from disk, or makes its genesis.
func (a *aggregator) loadTask(cfg Task) (*task, error) {
	o, err := a.ns.Owner(a.cfg.Owner, cfg.Name)
	if err != nil {
		return nil, err
	}
	t := &task{
		a: a, cfg: cfg, topics: o, log: a.log.With().Str("task", cfg.Name).Logger(),
		offers: map[contentKey]*upload{}, mender: transfer.NewMender(),
		issued: map[wire.Stamp]issued{},
	}
	t.keeping, t.telling = a.newKeeping(cfg, t.log), newTelling(t, a, cfg.Name, o, t.log)
	for _, m := range cfg.Members {
		f, err := topics.ParseMemberFilter(m)
		if err != nil {
			return nil, err
		}
		t.members = append(t.members, f)
	}
	t.sum = newSum(a.cfg.Strategies, cfg.Strategy, a.store, a.release)
	t.schema = cfg.Init.Schema.Hash()
	if err := errors.Join(t.checkSchema(), t.loadOrigin()); err != nil {
		return nil, err
	}
	st, members, journal, err := t.load()
	if err != nil {
		return nil, err
	}
	rc := t.roundConfig()
	if err := rc.Validate(); err != nil {
		return nil, err
	}
	verdicts := make([]round.Verdict, len(journal))
	for i, e := range journal {
		verdicts[i] = e.Verdict
	}
	t.machine = round.New(rc, st, members, verdicts)
	t.state = t.machine.State()
	if st != nil && st.Phase == round.Open {
		t.cut = wire.Stamp{Round: st.Round, Attempt: st.Attempt + 1}
	}
	t.remember(journal)
	if err := errors.Join(t.loadBase(), t.loadSettings(), t.loadLayout()); err != nil {
		return nil, err
	}
	t.cfg.Init = &model.Model{Schema: t.cfg.Init.Schema} // its bytes are on disk
	return t, nil
}

func (t *task) roundConfig() round.Config {
	return round.Config{
		Members: t.members, Rounds: t.cfg.Rounds, Statistics: t.cfg.Statistics,
		StartWhen: t.cfg.StartWhen, JoinWaitMS: t.cfg.JoinWait.Milliseconds(),
		Quorum: t.cfg.Quorum, Goal: t.cfg.Goal, DeadlineMS: uint64(t.cfg.Deadline.Milliseconds()), // #nosec G115 -- at least 1 s
		Sample: t.cfg.Sample, Weights: round.Weights(t.cfg.Weights), Cap: t.cfg.Cap, CapFactor: t.cfg.CapFactor, MaxSamples: t.cfg.MaxSamples,
		GridB: t.cfg.GridB, Base: t.cfg.Init.ContentID(), Schema: t.schema, Rand: t.a.cfg.Rand,
	}
}

// load reads state, members and journal; a task that never ran gets record 0.
func (t *task) load() (st *round.State, members []round.Member, journal []entry, err error) {
	if err := t.moveMembers(); err != nil {
		return nil, nil, nil, err
	}
	err = t.a.store.View(func(tx *store.Tx) error {
		raw, err := tx.State(t.cfg.Name)
		if err != nil || raw == nil {
			return err
		}
		st = new(round.State)
		if err := json.Unmarshal(raw, st); err != nil {
			return fmt.Errorf("state on disk: %w", err)
		}
		if members, err = t.loadMembers(tx); err != nil {
			return err
		}
		vals, err := tx.Journal(t.cfg.Name)
		if err != nil {
			return err
		}
		for _, v := range vals {
			var e entry
			if err := json.Unmarshal(v, &e); err != nil {
				return fmt.Errorf("journal on disk: %w", err)
			}
			journal = append(journal, e)
		}
		return nil
	})
	if err != nil {
		return nil, nil, nil, err
	}
	if st == nil {
		return nil, nil, nil, t.genesis()
	}
	return st, members, journal, t.loadRecords(journal)
}

// filters are the standing subscriptions of the task.
func (t *task) filters(ns topics.Namespace) []link.Filter {
	f := []link.Filter{
		{Topic: t.topics.Order(), QoS: 1},
		{Topic: t.topics.Model(), QoS: 1},
		{Topic: t.topics.Record(), QoS: 1},
		{Topic: t.topics.Command(), QoS: 1},
	}
	for _, m := range t.members {
		for _, k := range []topics.Kind{topics.Join, topics.Update, topics.Part, topics.Need} {
			f = append(f, link.Filter{Topic: ns.MemberFilterTopic(m, t.cfg.Name, k), QoS: 1})
		}
	}
	return f
}

// connected tells the machine, which publishes its order again. A broker may
// have lost all that was retained.
func (t *task) connected() {
	t.published, t.headDue, t.viewDue = false, t.own[ownHead].payload != nil, true
	for i := range t.own {
		t.own[i].copy.Unasked() // all is published again
	}
	t.partsConnected(t.a.nowMS())
	t.step(round.Connected{})
	t.kpis()
	t.curve.due, t.curve.at = t.keeping.curve.last != nil, 0
}

func (t *task) tick() {
	if t.a.started {
		t.step(round.Tick{})
	}
}

// due is the time until the task wants to be looked at again.
func (t *task) due(now int64) time.Duration {
	moments := []int64{t.wakeAt}
	if t.a.up {
		if t.viewDue {
			moments = append(moments, t.viewAt+viewEvery.Milliseconds())
		}
		moments = append(moments, t.retryAt(), t.mendAt, t.curveDue())
		for i := range t.own {
			if !t.flying {
				moments = append(moments, t.own[i].copy.RepairAt())
			}
		}
	}
	return until(now, moments...)
}

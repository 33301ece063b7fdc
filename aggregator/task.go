package aggregator

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/aggregator/strategy"
	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
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

	schema   model.Hash
	base     *model.Model // of the open round
	strategy strategy.Strategy
	inbox    map[contentKey]*staged // decoded since the last Ready
	folded   map[string]*staged     // in the open round's sum, by member
	prev     [32]byte               // hash of the last record
	versions []round.ID             // former bases whose blobs are on disk, oldest first
	last     summary                // of the last record

	seen      wire.Header // highest own order found on the broker at start
	orderOf   id          // the order whose bytes are in own
	orderHash record.Digest
	modelOf   model.ContentID // the model whose bytes are in own
	fencedBy  uint64          // epoch of the order that fenced this process
	own       [3]retained     // what should be retained: model, record head, order
	wakeAt    int64           // the machine's next tick, in ms
	times     times
	counts    counts
	quiet     map[round.FactKind]int // facts of large cohorts since the last view

	published   bool  // the current order has its PUBACK
	publishedAt int64 // or was last tried
	viewDue     bool
	viewAt      int64
	answers     answers
	settled     settledCache
	ended       bool // the outcome was reported
}

// contentKey names a decoded contribution until the machine has spoken.
type contentKey struct {
	member  string
	content model.ContentID
}

// staged is one decoded contribution.
type staged struct {
	content model.ContentID
	samples uint64
	delta   *model.Model // nil for evaluate
	metrics map[string]float64
	bytes   int64
}

// times are the wall-clock facts of the open attempt, for the record.
type times struct{ opened, closed int64 }

// loadTask reads a task back from disk, or makes its genesis.
func (a *aggregator) loadTask(cfg Task) (*task, error) {
	o, err := a.ns.Owner(a.cfg.Owner, cfg.Name)
	if err != nil {
		return nil, err
	}
	t := &task{
		a: a, cfg: cfg, topics: o, log: a.log.With().Str("task", cfg.Name).Logger(),
		inbox: map[contentKey]*staged{}, folded: map[string]*staged{}, quiet: map[round.FactKind]int{},
	}
	for _, m := range cfg.Members {
		f, err := topics.ParseMemberFilter(m)
		if err != nil {
			return nil, err
		}
		t.members = append(t.members, f)
	}
	if t.strategy, err = strategy.New(cfg.Strategy); err != nil {
		return nil, err
	}
	t.schema = cfg.Init.Schema.Hash()
	st, journal, err := t.load()
	if err != nil {
		return nil, err
	}
	rc := t.roundConfig()
	if err := rc.Validate(); err != nil {
		return nil, err
	}
	t.machine = round.New(rc, st, journal)
	t.state = t.machine.State()
	return t, t.loadBase()
}

func (t *task) roundConfig() round.Config {
	return round.Config{
		Members: t.members, Rounds: t.cfg.Rounds, Statistics: t.cfg.Statistics,
		StartWhen: t.cfg.StartWhen, JoinWaitMS: t.cfg.JoinWait.Milliseconds(),
		Quorum: t.cfg.Quorum, Goal: t.cfg.Goal, DeadlineMS: uint64(t.cfg.Deadline.Milliseconds()), // #nosec G115 -- at least 1 s
		Sample: t.cfg.Sample, Weights: round.Weights(t.cfg.Weights), Cap: t.cfg.Cap, CapFactor: t.cfg.CapFactor,
		GridB: t.cfg.GridB, Base: round.ID(t.cfg.Init.ContentID()), Schema: round.ID(t.schema), Rand: t.a.cfg.Rand,
	}
}

// load reads state and journal; a task that never ran gets record 0.
func (t *task) load() (st *round.State, journal []round.Verdict, err error) {
	err = t.a.store.View(func(tx *store.Tx) error {
		raw, err := tx.State(t.cfg.Name)
		if err != nil || raw == nil {
			return err
		}
		st = new(round.State)
		if err := json.Unmarshal(raw, st); err != nil {
			return fmt.Errorf("state on disk: %w", err)
		}
		vals, err := tx.Journal(t.cfg.Name)
		if err != nil {
			return err
		}
		for _, v := range vals {
			var verdict round.Verdict
			if err := json.Unmarshal(v, &verdict); err != nil {
				return fmt.Errorf("journal on disk: %w", err)
			}
			journal = append(journal, verdict)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if st == nil {
		return nil, nil, t.genesis()
	}
	return st, journal, t.loadRecords()
}

// loadBase reads the open round's base model from its blob.
func (t *task) loadBase() error {
	blob, err := t.a.store.Blob(t.state.Base)
	if err != nil {
		return fmt.Errorf("base model %s: %w", t.state.Base, err)
	}
	t.base = &model.Model{Schema: t.cfg.Init.Schema, Blob: blob}
	if err := t.base.Check(); err != nil {
		return fmt.Errorf("base model %s does not fit the configured model (a new schema is a new task): %w", t.state.Base, err)
	}
	return nil
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
		for _, k := range []topics.Kind{topics.Join, topics.Update} {
			f = append(f, link.Filter{Topic: ns.MemberFilterTopic(m, t.cfg.Name, k), QoS: 1})
		}
	}
	return f
}

func (t *task) step(ev round.Event) { t.machine.Step(ev) }

// connected tells the machine, which publishes its order again.
func (t *task) connected() {
	t.published = false
	t.step(round.Connected{Now: t.a.nowMS()})
}

func (t *task) tick() {
	if t.a.started {
		t.step(round.Tick{Now: t.a.nowMS()})
	}
}

// due is the time until the task wants to be looked at again.
func (t *task) due(now int64) time.Duration {
	at := int64(math.MaxInt64)
	if t.wakeAt > 0 {
		at = t.wakeAt
	}
	if t.viewDue {
		at = min(at, t.viewAt+viewEvery.Milliseconds())
	}
	if !t.published && t.a.up {
		at = min(at, t.publishedAt+mendEvery.Milliseconds())
	}
	for _, r := range t.own {
		if r.wrong {
			at = min(at, r.mended+mendEvery.Milliseconds())
		}
	}
	if at == math.MaxInt64 {
		return time.Hour
	}
	return time.Duration(max(at-now, 0)) * time.Millisecond
}

// join passes a member's join to the machine.
func (t *task) join(path string, m link.Message) {
	h, body, err := t.a.opener.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		t.refuse(path, h, err)
		return
	}
	j, err := wire.DecodeJoin(body)
	if err != nil {
		t.refuse(path, h, err)
		return
	}
	if j.SeenRound > t.state.Round && t.a.cfg.Signer == nil {
		t.log.Warn().Str("member", path).Uint64("seen", j.SeenRound).Uint64("round", t.state.Round).
			Msg("a member has seen a later round: is this data directory an old copy?")
	}
	t.step(round.Join{
		Now: t.a.nowMS(), Member: path, Samples: j.Samples, Schema: round.ID(j.Schema),
		Instance: round.Instance(j.Instance), Counter: h.CreatedMS, Digest: round.ID(model.ContentIDOf(m.Payload)),
	})
}

// update decodes and checks a contribution and passes what it is to the machine.
func (t *task) update(path string, m link.Message) {
	t.counts.bytesUp += int64(len(m.Payload))
	h, body, err := t.a.opener.Open(m.Topic, m.Payload, wire.Bound{MaxRound: t.state.Round + 1, MaxBody: t.maxBody()})
	if err != nil {
		t.refuse(path, h, err)
		return
	}
	ev := round.Update{
		Now: t.a.nowMS(), Member: path, Round: h.Round, Attempt: h.Attempt, Base: round.ID(h.Base), Bytes: int64(len(m.Payload)),
	}
	if h.Round != t.state.Round {
		t.otherRound(ev, body)
		return
	}
	c, err := wire.DecodeUpdate(body, t.want())
	if err != nil {
		ev.Problem, ev.Detail = problem(err)
		t.step(ev)
		return
	}
	switch c := c.(type) {
	case wire.Decline:
		t.step(round.Decline{Now: ev.Now, Member: path, Round: h.Round, Attempt: h.Attempt, Reason: c.Reason + ": " + c.Detail})
	case wire.Update:
		s := &staged{content: c.Content(), samples: c.Samples, delta: c.Tensors, metrics: c.Metrics, bytes: ev.Bytes}
		ev.Content, ev.Samples = round.ID(s.content), s.samples
		if ev.Problem, ev.Detail, ev.Norm, err = t.check(s); err != nil {
			t.log.Warn().Err(err).Str("member", path).Msg("no room for the update in this round; it waits")
			return
		}
		t.inbox[contentKey{path, s.content}] = s
		t.step(ev)
	}
}

// otherRound names the content of an update of a round that is not open, so
// that its sender learns what became of it.
func (t *task) otherRound(ev round.Update, body []byte) {
	c, err := wire.DecodeUpdate(body, nil)
	if err != nil {
		ev.Problem, ev.Detail = problem(err)
	} else if u, ok := c.(wire.Update); ok {
		ev.Content, ev.Samples = round.ID(u.Content()), u.Samples
	} else {
		return // a decline of a round that is over needs no answer
	}
	t.step(ev)
}

// want is the schema that updates of the open round must have.
func (t *task) want() model.Schema {
	switch t.openWork() {
	case round.WorkStatistics:
		return t.statisticsSchema()
	case round.WorkEvaluate:
		return model.Schema{}
	}
	return t.base.Schema.Shared()
}

func (t *task) openWork() round.Work {
	if t.state.Params == nil {
		return round.WorkNone
	}
	return t.state.Params.Work
}

func (t *task) maxBody() int {
	return max(wire.MaxUpdateBody(t.base.Schema.Shared()), wire.MaxUpdateBody(t.statisticsSchema()))
}

// check runs the numeric checks of a decoded update (algorithms A3). An error
// means that the sum has no room for it: no verdict, its sender tries again.
func (t *task) check(s *staged) (problem verdict.Reason, detail string, norm float64, err error) {
	if s.delta == nil {
		return verdict.None, "", 0, nil
	}
	switch t.openWork() {
	case round.WorkTrain:
		if err = t.strategy.Check(s.delta, t.cappedWeight(s.samples)); err == nil {
			norm = l2(s.delta)
		}
	case round.WorkStatistics:
		var m fold.Moments
		if m, err = momentsOf(s.delta); err == nil {
			err = m.Check()
		}
	}
	switch {
	case err == nil:
		return verdict.None, "", norm, nil
	case errors.Is(err, fold.ErrFull):
		return verdict.None, "", 0, err
	case errors.Is(err, fold.ErrNotFinite):
		return verdict.NotFinite, detailOf(err), 0, nil
	}
	return verdict.OutOfRange, detailOf(err), 0, nil
}

// cappedWeight is a weight for checks: at least 1, at most the round's cap.
func (t *task) cappedWeight(samples uint64) uint64 {
	return max(1, min(samples, t.state.Params.Cap))
}

package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// OfflineMember is a member of a task that runs in one process, without a
// broker.
type OfflineMember struct {
	Path    string // below the namespace
	Samples uint64 // as a join says
	// Contract is what its trainer means by a model, nil if it does not say. One
	// that differs from the task's, or from the first that says, is an error.
	Contract *pipeline.Contract
	// Capabilities are those of its trainer: one that lacks what the strategy needs is an
	// error.
	Capabilities []string
	// Do answers an order. It is called for several members at once, for each of
	// them once at a time. An error is a decline.
	Do func(context.Context, OfflineOrder) (wire.Update, error)
	// Settled, if not nil, is told what became of an update.
	Settled func(round uint64, counted bool)
}

// OfflineOrder is what a member is asked for.
type OfflineOrder struct {
	Task, Work string
	Round      uint64
	Attempt    uint32
	Settings   json.RawMessage
	Seed       uint64
	Base       *model.Model // the member's own
	Local      wire.Local   // what the strategy needs of its trainer
	Encoding   string       // of the update; "": dense
	Locals     model.Locals // tensors that stay with the member
}

// ErrOffline is wrapped by errors of a round that came to nothing.
var ErrOffline = errors.New("aggregator: a round came to nothing")

// Offline runs the first task of c to its end with the members given, without
// broker, disk and clock, and returns its last model and its best one, nil where none was
// measured: the machine of rounds,
// strategy and metrics are those of Run, and so are the bits where they do not
// hang on time, on who joins late or on chance: with a sample below 1, or a
// goal, c.Rand decides. OnRecord gets every record, without signature, hashes of
// orders and times. A round that has no quorum ends it with an error that wraps
// ErrOffline, as everybody would answer the same again.
func Offline(ctx context.Context, c Config, members []OfflineMember) (last, best *model.Model, err error) {
	o, err := newOffline(c, members)
	if err != nil {
		return nil, nil, err
	}
	for !o.t.state.Finished {
		if err := o.drain(ctx); err != nil {
			return nil, nil, err
		}
	}
	return o.t.base, o.best, nil
}

// CheckOffline says what keeps Offline from beginning: who may not join, or means
// another thing by the model than the others.
func CheckOffline(c Config, members []OfflineMember) error {
	_, err := newOffline(c, members)
	return err
}

// EvaluateOffline has all members measure a model, and returns what a round
// says of that.
func EvaluateOffline(ctx context.Context, c Config, members []OfflineMember, m *model.Model) (got record.Metrics, about record.Measured, err error) {
	o, err := newOffline(c, members)
	if err != nil {
		return nil, about, err
	}
	o.t.base = m
	all := make([]string, len(members))
	for i, x := range members {
		all[i] = x.Path
	}
	if err := o.t.sum.begin(m, round.Params{Work: wire.WorkEvaluate}, o.t.state.Round); err != nil {
		return nil, about, err
	}
	for i, a := range o.ask(ctx, all, wire.WorkEvaluate) {
		if a.err != nil {
			return nil, about, fmt.Errorf("%s: %w", all[i], a.err)
		}
		ev := round.Update{Member: all[i], Round: o.t.state.Round, Content: a.update.Content(), Samples: a.update.Samples}
		if _, held := o.held(ev, a.update); !held {
			return nil, about, fmt.Errorf("%s: its evaluation cannot be counted", all[i])
		}
		o.t.sum.in[all[i]] = o.t.sum.held[owner.Key{Member: all[i], Content: ev.Content}]
	}
	got, about = o.t.metrics(wire.WorkEvaluate)
	return got, about, nil
}

// offline drives a machine of rounds with members that are functions.
type offline struct {
	t       *task
	m       *round.Machine
	members map[string]OfflineMember
	worked  wire.Stamp // the attempt that all were asked for
	best    *model.Model
}

func newOffline(c Config, members []OfflineMember) (*offline, error) {
	c = c.withDefaults()
	cfg := c.Tasks[0]
	if cfg.Survey != nil {
		return nil, errors.New("a task that gathers statistics runs with a broker only")
	}
	t := &task{a: &aggregator{cfg: c}, cfg: cfg, log: c.Log, schema: cfg.Init.Schema.Hash(), base: cfg.Init}
	if err := t.parseMembers(); err != nil {
		return nil, err
	}
	t.sum = newSum(c.Strategies, nil, func(*store.Stage) {})
	t.sum.root = t.rootUpdate
	rc := t.roundConfig()
	rc.JoinWaitMS, rc.StartWhen = 0, len(members) // all are there
	if len(members) < rc.Quorum {
		return nil, fmt.Errorf("quorum: %d, and there are %d sites", rc.Quorum, len(members))
	}
	var err error
	if rc.Thresholds, err = t.guard().Thresholds(nil); err != nil {
		return nil, err
	}
	if rc.Local, err = localOf(t.sum.registry, cfg); err != nil {
		return nil, err
	}
	if err := rc.Validate(); err != nil {
		return nil, err
	}
	t.state = rc.First()
	t.settings = t.settingsAfter(t.state)
	if err := t.agree(t.state); err != nil {
		return nil, err
	}
	o := &offline{t: t, m: round.New(rc, t.state, nil, nil), members: map[string]OfflineMember{}}
	o.m.Step(0, round.Started{})
	o.m.Step(0, round.Connected{})
	for i, x := range members {
		if err := o.join(i, x); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// join has a member welcomed.
func (o *offline) join(i int, x OfflineMember) error {
	if !o.mayJoin(x.Path) {
		return fmt.Errorf("%s: none of the members: %s", x.Path, strings.Join(o.t.cfg.Members, ", "))
	}
	if x.Contract != nil && o.t.state.Contract == nil {
		if err := checkContract(x.Contract, o.t.cfg.Init.Schema); err != nil {
			return fmt.Errorf("%s: %w", x.Path, err)
		}
	}
	o.members[x.Path] = x
	o.m.Step(0, round.Join{Contract: x.Contract, Capabilities: x.Capabilities, Member: x.Path, Samples: x.Samples, Counter: 1, Digest: model.HashOf([]byte{byte(i), byte(i >> 8)})})
	rd := o.m.Ready()
	for _, msg := range rd.Send {
		if r, ok := msg.(round.SendReply); ok {
			if no, refused := r.Reply.(wire.RefusalReply); refused {
				return fmt.Errorf("%s: %s: %s", x.Path, no.Reason, no.Detail)
			}
		}
	}
	return o.do(rd)
}

func (o *offline) mayJoin(path string) bool {
	for _, f := range o.t.members {
		if f.Match(path) {
			return true
		}
	}
	return false
}

// drain does what the machine owes, and has the members work when it owes
// nothing more.
func (o *offline) drain(ctx context.Context) error {
	rd := o.m.Ready()
	if rd.Empty() {
		return o.work(ctx)
	}
	return o.do(rd)
}

// do is the driver's work without its disk.
func (o *offline) do(rd round.Ready) error {
	t := o.t
	if rd.Save.State != nil {
		t.state = rd.Save.State
	}
	if len(rd.Save.Records) > 0 {
		return abandonedOffline(rd.Save.Records[0])
	}
	if rd.Restart {
		t.settings = t.settingsAfter(t.state)
		t.sum.forget()
		clear(t.sum.held)
		if err := t.sum.begin(t.base, *t.state.Params, t.state.Round); err != nil {
			return err
		}
	}
	for _, f := range rd.Fold {
		if err := t.sum.add(owner.Fold{Key: owner.Key{Member: f.Member, Content: f.Content}, Weight: f.Weight, Staleness: f.Staleness}, nil); err != nil {
			return err
		}
	}
	if rd.Commit == nil {
		return nil
	}
	return o.commit(*rd.Commit)
}

func (o *offline) commit(c round.Commit) error {
	t := o.t
	made, err := t.sum.finish(c.Accepted, c.Entries)
	if err != nil {
		return fmt.Errorf("round %d: %w", c.Round, err)
	}
	id := c.Base
	if made.Model != t.base {
		id = made.Model.ContentID()
	}
	metrics, measured := t.metrics(c.Work)
	r := record.Record{
		Task: t.cfg.Name, Round: c.Round, Attempt: c.Attempt, Verdict: record.Committed, Work: c.Work, Base: c.Base, Model: id, Version: c.Round,
		Strategy: t.strategyOf(c.Params), Entries: t.entries(c.Entries), Metrics: metrics, Measured: measured, Reason: string(c.Reason), Notes: made.Notes, Settings: t.differ(c.Work),
	}
	r.Strategy.Root = t.sum.rootID()
	score := t.cfg.score(r)
	best := o.m.Judge(score)
	if r.Best = bestOf(best); best != t.state.Best {
		o.best = t.base
	}
	t.base, t.sum.state, t.sum.buffer = made.Model, made.State, nil // models are the caller's
	thresholds, err := t.guard().Thresholds(made.State)
	if err != nil {
		return err
	}
	o.m.Step(0, round.Committed{Base: id, Thresholds: thresholds, Score: score})
	for _, e := range c.Entries {
		if x := o.members[e.Member]; x.Settled != nil && !e.Content.IsZero() {
			x.Settled(c.Round, e.Verdict == verdict.Counted)
		}
	}
	if t.a.cfg.OnRecord != nil {
		t.a.cfg.OnRecord(t.cfg.Name, r)
	}
	return nil
}

// work has the cohort of the open attempt answer its order.
func (o *offline) work(ctx context.Context) error {
	at, params := o.t.state.Stamp(), o.t.state.Params
	if params == nil || at == o.worked {
		return fmt.Errorf("%w: round %d waits", ErrOffline, at.Round)
	}
	o.worked = at
	paths := make([]string, len(o.t.state.Cohort))
	for i, at := range o.t.state.Cohort {
		paths[i] = o.m.Path(at)
	}
	answers := o.ask(ctx, paths, params.Work)
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, i := range o.turns(len(paths)) {
		if o.m.State().Stamp() != at || o.m.State().Phase != round.Open {
			return nil // the goal is reached
		}
		if err := o.answer(at, paths[i], answers[i]); err != nil {
			return err
		}
	}
	return nil
}

// turns is the order in which the answers of n members arrive: it decides
// nothing but with a goal.
func (o *offline) turns(n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = i
	}
	if o.t.cfg.Goal+o.t.state.Params.Buffer == 0 || o.t.a.cfg.Rand == nil {
		return at
	}
	b := make([]byte, 2*n)
	o.t.a.cfg.Rand(b)
	for i := n - 1; i > 0; i-- {
		j := (int(b[2*i])<<8 | int(b[2*i+1])) % (i + 1)
		at[i], at[j] = at[j], at[i]
	}
	return at
}

type offlineAnswer struct {
	update wire.Update
	err    error
}

// ask has members work, as many at once as there are processors.
func (o *offline) ask(ctx context.Context, paths []string, work string) []offlineAnswer {
	answers := make([]offlineAnswer, len(paths))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, p := range paths {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			order := OfflineOrder{
				Task: o.t.cfg.Name, Work: work, Round: max(o.t.state.Round, 1), Attempt: max(o.t.state.Attempt, 1),
				Settings: o.t.settings.Train, Seed: o.t.cfg.Seed, Base: o.t.base.Clone(), Locals: o.t.cfg.Locals,
			}
			if p := o.t.state.Params; p != nil && p.Local != nil && work == wire.WorkTrain {
				order.Local = *p.Local
			}
			if work == wire.WorkTrain {
				order.Encoding = o.t.encoding()
			}
			answers[i].update, answers[i].err = o.members[p].Do(ctx, order)
		})
	}
	wg.Wait()
	return answers
}

// answer tells the machine what a member has made, and folds what it accepts.
func (o *offline) answer(at wire.Stamp, path string, a offlineAnswer) error {
	if a.err != nil {
		o.m.Step(0, round.Decline{Member: path, Round: at.Round, Attempt: at.Attempt, Reason: a.err.Error()})
		return o.do(o.m.Ready())
	}
	ev := round.Update{Member: path, Round: at.Round, Attempt: at.Attempt, Base: o.t.state.Base, Content: a.update.Content(), Samples: a.update.Samples}
	ev, _ = o.held(ev, a.update)
	o.m.Step(0, ev)
	return o.do(o.m.Ready())
}

// held checks an update as one that came in a message.
func (o *offline) held(ev round.Update, u wire.Update) (round.Update, bool) {
	seen, ok := o.t.inline(ev, u).(owner.Update)
	if !ok { // no room for its weight: Allowance holds all members
		ev.Problem = verdict.OutOfRange
		return ev, false
	}
	return seen.Update, seen.Held
}

// abandonedOffline says why a round has no quorum.
func abandonedOffline(r round.Record) error {
	var why []string
	for _, e := range r.Entries {
		if e.Verdict != verdict.Kept && e.Verdict != verdict.Counted {
			text := e.Member + ": " + e.Verdict.String()
			if e.Detail != "" {
				text += " (" + e.Detail + ")"
			}
			why = append(why, text)
		}
	}
	return fmt.Errorf("%w: round %d, %s, is below its quorum: %s", ErrOffline, r.Round, r.Work, strings.Join(why, "; "))
}

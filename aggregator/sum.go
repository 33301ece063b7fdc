package aggregator

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// sum is the fold of a task's open round, with the updates on their way into
// it: staged, judged, then added or kept to the end.
type sum struct {
	scratch
	state   []byte // of strategy and optimiser, after the last committed round; nil: none
	stateID model.Hash
	release func(*store.Stage)

	root  func(base *model.Model) (*model.Model, error) // trains the aggregator's own update
	own   *model.Model                                  // what came of it on ownOf; nil: the strategy wants none
	ownOf *model.Model

	params round.Params
	round  uint64
	fold   *strategy.Aggregation // nil: no round is open
	before *strategy.Aggregation // begun last: its memory is used again

	held    map[owner.Key]*staged // all that the machine has not let go of
	early   *staged               // in the sum ahead of its verdict, its bytes in its stage
	decoded int                   // bytes of tensors that came inline since the last Ready
	in      map[string]*staged    // in the sum, by member
}

func newSum(r strategy.Registry, st *store.Store, release func(*store.Stage)) *sum {
	return &sum{scratch: scratch{registry: r, store: st}, release: release, held: map[owner.Key]*staged{}, in: map[string]*staged{}}
}

// begin empties the sum for an attempt of a round.
func (s *sum) begin(base *model.Model, p round.Params, round uint64) (err error) {
	s.params, s.round, s.least, s.early = p, round, len(base.Blob), nil
	set := setup(p, base, s.state)
	if set.Root, err = s.rootOf(set); err != nil {
		return err
	}
	s.fold, err = s.registry.Begin(set, s.before)
	s.before = s.fold
	return err
}

// rootOf is the aggregator's own update, if the strategy wants one: the same for all
// attempts on a base.
func (s *sum) rootOf(set strategy.Setup) (*model.Model, error) {
	rooted, err := s.registry.Rooted(set)
	if err != nil || !rooted {
		s.own = nil
		return nil, err
	}
	if s.own == nil || s.ownOf != set.Base {
		s.own, err = s.root(set.Base)
		s.ownOf = set.Base
	}
	return s.own, err
}

// rootID is the content id of the aggregator's own update, none if there is none.
func (s *sum) rootID() model.Hash {
	if s.own == nil || !strategy.WorkOf(s.params.Work).Weighs {
		return model.Hash{}
	}
	return s.own.ContentID()
}

// setup is how an attempt with these parameters is folded, on its base and after rounds
// that left this state.
func setup(p round.Params, base *model.Model, state []byte) strategy.Setup {
	return strategy.Setup{
		Work: p.Work, Strategy: p.Strategy, Params: p.StrategyParams, Server: p.Server, ServerParams: p.ServerParams, State: state,
		Guard: p.Guard, Thresholds: p.Thresholds, Round: strategy.Round{Base: base, GridB: p.GridB, GridW: p.GridW, Enrolled: p.Enrolled},
	}
}

// folding is how rounds are folded that open from now on, but for the thresholds.
func (t *task) folding() round.Folding {
	late := t.cfg.late(t.a.cfg.Strategies)
	return round.Folding{
		Strategy: t.cfg.Strategy, StrategyParams: t.cfg.StrategyParams, Server: t.cfg.Server, ServerParams: t.cfg.ServerParams, Guard: t.guard().Values(),
		Late: late.Most, Buffer: late.Buffer,
	}
}

// guard is the task's, which judges control variates where the strategy has some.
func (t *task) guard() strategy.Guard {
	g := *t.cfg.Guard
	local, _ := localOf(t.a.cfg.Strategies, t.cfg) // what is wrong with it is told elsewhere
	g.Controls = local.Corrects()
	return g
}

// forget empties the sum: the round is over, or starts over.
func (s *sum) forget() {
	clear(s.in)
	s.fold, s.early = nil, nil
}

// hold keeps an update until the machine lets go of it. Of one that is held already
// what is new of it is taken over: its offer, or the bytes that came after all.
func (s *sum) hold(member string, st *staged) {
	k := owner.Key{Member: member, Content: st.content}
	had := s.held[k]
	switch {
	case had == nil:
		s.held[k] = st
	case s.in[member] == had: // its sum is all that is needed
	case st.raw == nil && had.update.Weight > 0: // what was checked with it is what is added
	case st.raw == nil:
		had.schema, had.encoding, had.came, had.measured, had.samples, had.round = st.schema, st.encoding, st.came, st.measured, st.samples, st.round
	default:
		st.stage = had.stage
		s.held[k] = st
	}
	if st.delta != nil {
		s.decoded += len(st.delta.Blob)
	}
}

// stage makes the place for an update in parts, and fills what needs no travel. What
// was to come of another update and is not there any more is left out, and the update torn.
func (s *sum) stage(o owner.Stage, places *store.Staging) (err error) {
	st := s.held[o.Key]
	s.letGo(st)
	st.stage, st.torn = places.Stage(st.length), false
	var from *store.Stage
	if had := s.held[owner.Key{Member: o.Member, Content: o.From}]; had != nil {
		from = had.stage
	}
	for _, f := range o.Fill {
		switch {
		case f.From == transfer.Zeros:
			err = st.stage.Clear(f.To, f.N)
		case from != nil && f.From+f.N <= from.Len():
			err = st.stage.CopyFrom(from, f.From, f.To, f.N)
		default:
			st.torn = true
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unstage gives the place back: the update waits for another.
func (s *sum) unstage(k owner.Key) {
	if st := s.held[k]; st != nil {
		s.letGo(st)
	}
}

// drop lets go of updates. One that is in the sum ahead of its verdict is taken out.
func (s *sum) drop(list []owner.Key) error {
	for _, k := range list {
		if st := s.held[k]; st != nil && st == s.early {
			s.early = nil
			if err := s.fold.Back(st.update, st.stage.View); err != nil {
				return err
			}
		}
		s.unstage(k)
		delete(s.held, k)
	}
	return nil
}

// schema is what updates must have, that of training while no round is open.
func (s *sum) schema(base *model.Model) model.Schema {
	if s.fold == nil {
		return base.Schema.Shared()
	}
	return s.fold.Schema()
}

// update is what check and add see, weight and staleness as the machine gives them (R-32,
//
func (s *sum) update(st *staged, delta *model.Model) strategy.Update {
	samples := st.samples
	u := strategy.Update{Samples: samples, Weight: 1, Scalars: st.Scalars, Tensors: delta, Staleness: s.round - st.round}
	if strategy.WorkOf(s.params.Work).Weighs {
		u.Weight = s.params.Weights.Weigh(samples, s.params.Cap)
	}
	return u
}

// checkPart checks what a part of an update allows, as it arrives.
func (s *sum) checkPart(st *staged, data []byte, off int) (problem verdict.Reason, detail string) {
	if s.fold == nil || st.encoding != "" { // of what is encoded the whole says what its values are
		return verdict.None, ""
	}
	err := s.fold.CheckPart(s.update(st, nil), data, off)
	if err == nil || errors.Is(err, strategy.ErrFull) { // the whole is checked when it is there
		return verdict.None, ""
	}
	return numeric(err), detailOf(err)
}

// found is what a look at a whole update has found.
type found struct {
	problem verdict.Reason
	detail  string
	norm    float64
}

// admit checks an update that came in one message. Bytes that are none of its encoding
// are a verdict.
func (s *sum) admit(st *staged, tensors *model.Model) (found, error) {
	if tensors != nil {
		delta, err := s.registry.Decode(st.encoding, tensors.Blob, tensors.Schema, nil)
		if err != nil {
			return found{problem: verdict.Malformed, detail: detailOf(err)}, nil
		}
		st.raw, st.delta = tensors.Blob, delta
	}
	return s.check(st)
}

// check checks a whole update. An error means that there is no room for it: no
// verdict, its sender tries again.
func (s *sum) check(st *staged) (found, error) {
	if s.fold == nil {
		return found{}, nil
	}
	u := s.fold.Measure(s.update(st, st.delta))
	st.update = u
	st.update.Tensors = nil
	if err := s.fold.Check(u); err != nil {
		return judged(0, err)
	}
	return judged(u.Norm, nil)
}

// look checks the whole of an update in parts, or of one that was kept. An error that wraps
// strategy.ErrFull is as in check; others are of the disk.
func (s *sum) look(st *staged) (found, error) {
	f, taken, err := s.takeIn(st)
	if taken || err != nil {
		return f, err
	}
	if st.stage != nil {
		if err := s.borrow(st, st.schema); errors.Is(err, model.ErrSchema) {
			return found{problem: verdict.Malformed, detail: detailOf(err)}, nil
		} else if err != nil {
			return found{}, err
		}
	}
	return s.check(st)
}

// takeIn has an update in the sum with the look that checks it, where the fold can. The
// machine's next word is to add or to drop it. What is not taken is to be checked.
func (s *sum) takeIn(st *staged) (f found, taken bool, err error) {
	if s.fold == nil || st.stage == nil || st.encoding != "" || s.early != nil {
		return found{}, false, nil
	}
	if st.stage.Len() != s.fold.Schema().Bytes() {
		return found{}, false, nil
	}
	u, taken, err := s.fold.Take(s.update(st, nil), st.stage.View)
	if taken {
		st.update, s.early = u, st
	}
	return found{norm: u.Norm}, taken, err
}

// judged is what the fold's word means.
func judged(norm float64, err error) (found, error) {
	switch {
	case err == nil:
		return found{norm: norm}, nil
	case errors.Is(err, strategy.ErrFull):
		return found{}, err
	}
	return found{problem: numeric(err), detail: detailOf(err)}, nil
}

// numeric is the refusal for values that cannot be added.
func numeric(err error) verdict.Reason {
	switch {
	case errors.Is(err, strategy.ErrNotFinite):
		return verdict.NotFinite
	case errors.Is(err, strategy.ErrOutlier):
		return verdict.NormOutlier
	}
	return verdict.OutOfRange
}

// add takes an update that was accepted, with the weight that it was checked
// with. Places are for one that is read again at the end of the round.
func (s *sum) add(acc owner.Fold, places *store.Staging) error {
	st := s.held[acc.Key]
	u := st.update
	if u.Weight != acc.Weight || u.Staleness != acc.Staleness {
		return fmt.Errorf("%s of %s was checked with the weight %d and the staleness %d, and accepted with %d and %d", acc.Content, acc.Member, u.Weight, u.Staleness, acc.Weight, acc.Staleness)
	}
	early := st == s.early
	if early {
		s.early = nil
		s.fold.Count(u)
	} else {
		u.Tensors = st.delta
		s.fold.Add(u)
	}
	switch {
	case s.fold.NeedsAll():
		if err := s.spool(st, places); err != nil {
			return err
		}
	case early || st.delta != nil:
		crash.At("fold.mid")
		st.raw, st.delta = nil, nil // its sum is all that is needed
		s.letGo(st)
	}
	s.in[acc.Member] = st
	return nil
}

// spool leaves an update where its values can be read from any place on, without memory
// for the whole: in a stage, or in its file where it was kept. There it is already if it
// came in parts, or is there from before a start, and travels as the values themselves.
// Without places it stays in memory.
func (s *sum) spool(st *staged, places *store.Staging) error {
	if st.delta == nil || places == nil {
		return nil
	}
	blob := st.delta.Blob
	st.raw, st.delta = nil, nil
	if st.encoding == "" && (st.stage != nil || st.borrowed) {
		return nil
	}
	s.letGo(st)
	st.stage, st.encoding = places.Stage(len(blob)), "" // decoded now
	return st.stage.WriteAt(blob, 0)
}

// updates reads what is in the sum, in the order given.
func (s *sum) updates(accepted []round.Accepted) *strategy.Updates {
	all := &strategy.Updates{Schema: s.fold.Schema()}
	for _, acc := range accepted {
		u := s.in[acc.Member].update
		u.Index = acc.Index
		all.List = append(all.List, u)
	}
	all.ReadAt = func(p []byte, i, off int) error {
		st := s.in[accepted[i].Member]
		switch {
		case st.delta != nil:
			copy(p, st.delta.Blob[off:])
			return nil
		case st.stage != nil:
			return st.stage.ReadAt(p, off)
		}
		return s.store.BlobAt(st.content, p, int64(off))
	}
	return all
}

// finish gives the model after the round, its bytes in the buffer. The entries say whose
// updates the guard has refused.
func (s *sum) finish(accepted []round.Accepted, entries []round.Entry) (strategy.Result, error) {
	outliers := 0
	for _, e := range entries {
		if e.Verdict == verdict.NormOutlier {
			outliers++
		}
	}
	s.fold.Refused(outliers)
	var all *strategy.Updates
	if s.fold.NeedsAll() {
		all = s.updates(accepted)
	}
	return s.fold.Result(all, s.leave)
}

// leave gives the buffer away, to the next model.
func (s *sum) leave(n int) []byte {
	b := s.room(n)
	s.buffer = nil
	return b
}

// letGo gives back what an update holds besides memory.
func (s *sum) letGo(st *staged) {
	s.release(st.stage)
	st.stage = nil
}

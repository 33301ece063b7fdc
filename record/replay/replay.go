// Package replay checks what the records of a task claim: that they follow each
// other, are signed, are sane, that the models and updates they name have the
// bytes they name, and, where updates were kept, that folding them again gives
// the models bit by bit. docs/spec/record.md numbers the rules (RC-18 to RC-23).
//
// Start with [New], give it the records oldest first by [Replay.Next], and end
// with [Replay.Finish]. The first error is the first difference; what comes
// after it rests on nothing.
//
// It holds a few models at a time, whatever the number of rounds and members.
// It reads no file and no clock.
package replay

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
)

// Blobs returns the bytes that are stored under a content id. An error that
// wraps fs.ErrNotExist means that they were not kept. Whether the bytes have
// the id is not for it to check.
type Blobs func(id model.Hash) ([]byte, error)

// Config says what a replay has at hand.
type Config struct {
	Blobs Blobs
	// At fills p with bytes of a blob that Blobs has returned, from an offset on. A strategy
	// that looks at all updates at once reads each of them piece by piece; nil: the whole of
	// it for each piece.
	At func(id model.Hash, p []byte, off int64) error
	// Without names the members without whom a committed round of training is made again;
	// nil: nobody. Members that were not counted in it are passed over.
	Without     func(record.Record) []string
	Description []byte            // the task's, nil if there is none
	Keys        record.Keys       // public keys of the aggregator; nil: signatures are not checked
	Strategies  strategy.Registry // strategies of the aggregator's own, beside fedmq's
}

// How says what the model of a record was found to rest on.
type How int

// The ways, the strongest last.
const (
	Chained  How = iota // neither the model nor all updates were kept, or there is no model: the chain alone
	Hashed              // the model's bytes are there and have its content id
	Replayed            // the model was made again, bit by bit
)

// Outcome is what became of one record without a difference.
type Outcome struct {
	Record  record.Record
	How     How
	Without []WhatIf // as Config.Without wants
}

// Replay checks one task. It is not safe for concurrent use.
type Replay struct {
	cfg   Config
	chain record.Chain

	schema model.Schema // nil: an older task, which names no description
	model  *model.Model // after the last committed record; nil: not kept
	state  state        // likewise, what strategy and server optimiser have left
	models map[model.Hash]bool
	index  map[string]uint32 // of every member so far
	member map[uint32]string
	latest map[string]uint64     // the round for which the update was made of a member that counted last, of asynchronous training
	before *strategy.Aggregation // whose memory is used again

	whatIfs []WhatIf // of the record that is checked

	left   map[uint64]left // by version
	best   *record.Best    // of the last committed record that has one
	newest record.Record   // the last with a model
	last   record.Record   // the one before
	kept   bool            // the newest model's blob is there
	any    bool
}

// left is what a round has left, by its content ids.
type left struct {
	model, state model.Hash
	ids          string // of which kind they are
}

// state is what strategy and server optimiser have left, if they leave something.
type state struct {
	id    model.Hash
	blob  []byte
	known bool // blob is what the id says
}

// New returns a replay that expects the genesis.
func New(cfg Config) *Replay {
	return &Replay{
		cfg: cfg, state: state{known: true}, models: map[model.Hash]bool{}, left: map[uint64]left{}, index: map[string]uint32{}, member: map[uint32]string{}, latest: map[string]uint64{},
	}
}

// Tip returns the hash of the last record's bytes: hold it against hash of the
// head on the task's record topic, since nothing else shows that the end of a
// chain was cut off.
func (p *Replay) Tip() model.Hash { return p.chain.Tip() }

// Layout returns the schema of the task's models, nil where no description
// says it: nothing can be replayed then.
func (p *Replay) Layout() model.Schema { return p.schema }

// Next checks the next record, which was found under a round and an attempt.
// An error is a [*Difference], unless a blob could not be read.
func (p *Replay) Next(round uint64, attempt uint32, raw []byte) (Outcome, error) {
	r, err := p.chain.Next(raw)
	d := Difference{Round: round, Attempt: attempt}
	var broken *record.ChainError
	switch {
	case errors.As(err, &broken):
		return Outcome{}, d.because("%s", broken.Problem)
	case err != nil:
		return Outcome{}, d.because("%v", err)
	case r.Round != round || r.Attempt != attempt:
		return Outcome{}, d.because("the record says round %d, attempt %d", r.Round, r.Attempt)
	}
	if p.cfg.Keys != nil {
		if err := record.VerifySig(raw, p.cfg.Keys); err != nil {
			return Outcome{}, d.because("%v", err)
		}
	}
	p.whatIfs = nil
	how, err := p.check(r)
	var found *Difference
	if errors.As(err, &found) {
		found.Round, found.Attempt = round, attempt
	} else if err != nil {
		err = fmt.Errorf("round %d, attempt %d: %w", round, attempt, err)
	}
	p.any, p.last = true, r
	return Outcome{Record: r, How: how, Without: p.whatIfs}, err
}

// check is all but chain and signature.
func (p *Replay) check(r record.Record) (How, error) {
	if !p.any {
		if err := p.genesis(r); err != nil {
			return Chained, err
		}
	}
	if err := p.sane(r); err != nil {
		return Chained, err
	}
	made, err := p.remake(r)
	if err != nil || r.Verdict == record.Abandoned {
		return Chained, err
	}
	if p.whatIfs, err = p.withouts(r, made); err != nil {
		return Chained, err
	}
	if p.changes(r) && p.model != nil && p.state.known {
		made = &strategy.Result{Model: p.model, State: p.state.blob}
	}
	return p.settle(r, made)
}

// genesis takes the description that the first record names (RC-16).
func (p *Replay) genesis(r record.Record) error {
	if r.Round != 0 || r.Work != workInit || r.Verdict != record.Committed {
		return differ("the first record is of a %s round that was %s, want the genesis: the beginning is missing", r.Work, r.Verdict)
	}
	if r.OrderHash.IsZero() {
		return nil
	}
	switch {
	case p.cfg.Description == nil:
		return differ("the task's description, which the genesis names, is not there")
	case record.Hash(p.cfg.Description) != r.OrderHash:
		return differ("the task's description has other bytes than the genesis names")
	}
	d, err := record.DecodeDescription(p.cfg.Description)
	if err != nil {
		return differ("the task's description: %v", err)
	}
	if d.Owner != r.Owner || d.Task != r.Task {
		return differ("the description is of task %q of %q", d.Task, d.Owner)
	}
	p.schema, err = d.Layout()
	return err
}

// settle holds the model of a record against its blob and against what the
// replay made, nil if it made nothing.
func (p *Replay) settle(r record.Record, made *strategy.Result) (How, error) {
	stored, err := p.fetch(r, r.Model, "model")
	if err != nil {
		return Chained, err
	}
	if p.changes(r) && stored != nil && p.last.ContentOf(stored) != r.Base {
		return Chained, differ("the model is not what its base %s names by the kind of content ids before", r.Base)
	}
	if stored != nil && p.schema != nil && len(stored) != p.schema.Bytes() {
		return Chained, differ("the model has %d bytes, want %d", len(stored), p.schema.Bytes())
	}
	if made != nil && r.ContentOf(made.Model.Blob) != r.Model {
		return Chained, p.tensorDifference(r, stored, made.Model)
	}
	if err := p.settleState(r, made); err != nil {
		return Chained, err
	}
	keeps := strategy.WorkOf(r.Work).Keeps
	p.models[r.Model] = true
	p.left[r.Version] = left{r.Model, r.State, r.IDs}
	p.newest, p.kept = r, stored != nil
	switch {
	case made != nil:
		p.model = made.Model
	case keeps: // sane: it keeps its base, which is not at hand
	case stored != nil && p.schema != nil:
		p.model = &model.Model{Schema: p.schema, Blob: stored}
	default:
		p.model = nil
	}
	switch {
	case made != nil || keeps:
		return Replayed, nil
	case stored != nil:
		return Hashed, nil
	}
	return Chained, nil
}

// settleState does the same for the state.
func (p *Replay) settleState(r record.Record, made *strategy.Result) error {
	had := p.state
	p.state = state{id: r.State, known: r.State.IsZero()}
	var stored []byte
	if !r.State.IsZero() {
		var err error
		if stored, err = p.fetch(r, r.State, "state"); err != nil {
			return err
		}
	}
	switch {
	case made != nil:
		if id := stateID(r, made.State); id != r.State {
			return differ("the replay leaves the state %q, the record says %q", id, r.State)
		}
		p.state.blob, p.state.known = made.State, true
	case stored != nil && p.changes(r) && p.last.ContentOf(stored) != had.id:
		return differ("the state is not what %s names by the kind of content ids before", had.id)
	case stored != nil:
		p.state.blob, p.state.known = stored, true
	case r.State == had.id:
		p.state = had
	}
	return nil
}

// stateID is the content id of a state, none for none.
func stateID(r record.Record, state []byte) model.Hash {
	if state == nil {
		return model.Hash{}
	}
	return r.ContentOf(state)
}

// changes reports whether a record goes over to another kind of content ids, under
// which it names the model and the state of before (RC-25).
func (p *Replay) changes(r record.Record) bool { return p.any && r.IDs != p.last.IDs }

// Finish reports what only the end shows: the newest model is always kept.
func (p *Replay) Finish() error {
	if !p.any || p.kept {
		return nil
	}
	d := differ("the blob of the newest model, %s, is missing", p.newest.Model)
	d.Round, d.Attempt = p.newest.Round, p.newest.Attempt
	return d
}

// fetch returns the blob of a content id of a record, nil if it was not kept.
func (p *Replay) fetch(r record.Record, id model.Hash, what string) ([]byte, error) {
	b, err := p.cfg.Blobs(id)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", what, id, err)
	case r.ContentOf(b) != id:
		return nil, differ("the blob of the %s %s has other bytes than its name says", what, id)
	}
	return b, nil
}

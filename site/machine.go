package site

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"math/rand/v2"

	"github.com/fedmq/fedmq/model"
)

// ms is a point in time (since the epoch) or a duration, in milliseconds.
type ms = int64

// Waiting times of a member (S-4, S-11, S-14).
const (
	joinFirst  ms = 5_000
	sendFirst  ms = 10_000
	repeatMost ms = 60_000
	askEvery   ms = 60_000
	modelFirst ms = 3_000

	recordGrace ms = 2_000
)

// maxEntries is how many unanswered envelopes a task keeps (S-15).
const maxEntries = 16

// machine is what one member does in one task: when to join, which order to
// obey, what to train, what to send and how often. It is pure: Step takes one
// event, Ready hands out the work it is owed since the last Ready, in the order
// in which it is to be done (save, then send). It sees counts, content ids and
// milliseconds, never the bytes of a model, and starts nothing.
type machine struct {
	cfg machineConfig
	st  state
	now ms

	connected bool
	order     *order // the order obeyed in this life; nil until one arrived
	halted    bool   // two orders under one stamp and one instance (S-6)
	head      head   // the last record seen
	have      stored // the model at hand
	entries   []*entry
	job       *job
	running   bool // the job has the trainer
	sealing   bool // the job's result is being written to the outbox
	jobs      uint64
	decline   *decline
	trouble   string // shown until the next round

	joining  timer
	asking   timer
	fetching timer

	out   ready
	dirty bool
	shown view
}

// machineConfig is what a machine is told once.
type machineConfig struct {
	Path       string // member path below the namespace
	Instance   nonce  // drawn at start
	Statistics bool   // the trainer answers statistics rounds
	Evaluate   bool   // the trainer evaluates
	Rand       *rand.Rand
}

// nonce is an instance id.
type nonce [16]byte

func (n nonce) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, n[:]), nil }

func (n *nonce) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(n)) {
		return fmt.Errorf("site: an instance id of %d digits", len(b))
	}
	_, err := hex.Decode(n[:], b)
	return err
}

// stamp orders orders: a site obeys the highest it has seen (S-5).
type stamp struct {
	Epoch   uint64
	Round   uint64
	Attempt uint32
}

func (s stamp) compare(o stamp) int {
	return cmp.Or(cmp.Compare(s.Epoch, o.Epoch), cmp.Compare(s.Round, o.Round), cmp.Compare(s.Attempt, o.Attempt))
}

// key names a piece of work: an order with the same key asks for nothing new.
type key struct {
	Round uint64
	Base  model.ContentID
	Work  string
}

// Kinds of work in an order.
const (
	workTrain      = "train"
	workEvaluate   = "evaluate"
	workStatistics = "statistics"
	workNone       = "none"
)

// order is a verified order as far as the site acts on it.
type order struct {
	stamp
	Base      model.ContentID
	Schema    model.Hash
	Hash      model.Hash // of what the order signs
	Instance  nonce      // of the aggregator
	Work      string
	ValidFrom uint32 // updates of earlier attempts have lapsed
	Pace      ms
	Heartbeat ms
	Cohort    uint32
	Sample    nonce  // seed of the draw
	Threshold uint64 // of the draw, drawAll: everybody is in
	Settings  string
	Seed      uint64
	PartSize  uint32
}

func (o *order) key() key { return key{Round: o.Round, Base: o.Base, Work: o.Work} }

// state is what a member keeps of a task, durable before anything is sent that
// depends on it.
type state struct {
	Seen         stamp      // highest order obeyed
	OrderHash    model.Hash // of that order
	Instance     nonce      // of the aggregator that gave it
	Counter      uint64     // created_ms of the last join
	Welcomed     bool
	WelcomeEpoch uint64 // epoch of the last welcome
	Index        uint32 // durable index of the member
	FromRound    uint64 // first (round, attempt) it takes part in
	FromAttempt  uint32
	Over         over // the last work that needs no more of this site
}

// over says what became of a piece of work.
type over struct {
	Key     key
	Attempt uint32 // of the order when it ended
	Verdict string // counted, a refusal, "record", or ""
	Refused bool
}

// stored names a model at hand: content id and schema hash.
type stored struct {
	Content model.ContentID
	Schema  model.Hash
}

// entry is an envelope in the outbox.
type entry struct {
	Round    uint64
	Attempt  uint32
	Base     model.ContentID
	Work     string
	Content  model.ContentID
	answered bool // nothing more is due before the next order
	timer
}

func (e *entry) usable(o *order) bool {
	return e.Round == o.Round && e.Base == o.Base && e.Work == o.Work && e.Attempt >= o.ValidFrom
}

// decline is the answer to an order this site cannot work for.
type decline struct {
	stamp
	Base     model.ContentID
	Schema   model.Hash
	Reason   string
	Detail   string
	answered bool
	timer
}

// job is a piece of work for the trainer.
type job struct {
	key
	ID       uint64
	Attempt  uint32
	Settings string
	Seed     uint64
}

// head is a record's head as far as the site reads it.
type head struct {
	Round   uint64
	Attempt uint32
	Verdict string
	Counted bool // this member's bit in the accepted set
}

// timer is a repeated act: due at a time, then later and later.
type timer struct {
	on    bool
	due   ms
	every ms
}

// set arms the timer for a time, with the pause that follows it.
func (t *timer) set(due, every ms) { *t = timer{on: true, due: due, every: every} }

// again moves the timer on: its pause +-50 %, twice as long the next time, to
// at most limit.
func (t *timer) again(now ms, r *rand.Rand, limit ms) {
	t.due = now + jitter(r, t.every)
	t.every = min(2*t.every, limit)
}

// jitter draws from d +-50 %.
func jitter(r *rand.Rand, d ms) ms { return d/2 + r.Int64N(d+1) }

// ready is the work owed. The driver does it in the order of the fields.
type ready struct {
	Save   *state   // to be durable, together with Drop, before anything below
	Drop   []uint64 // rounds whose outbox entries go
	Cancel uint64   // id of the job to stop, 0: none
	Seal   *seal    // put the finished job's result into the outbox, answer evStored or evUnsealed
	Send   []send
	Ask    []ask // retained topics to be subscribed to once more
	Start  *job
	Show   *view  // the status has changed
	Stop   string // the site must end, with this reason
	Wake   ms     // when the next evTick is wanted, 0: never
}

// seal asks for an envelope around the result of job ID.
type seal struct {
	ID       uint64
	Stamp    stamp
	Base     model.ContentID
	Schema   model.Hash
	Work     string
	PartSize uint32
}

// ask is a retained topic of the owner.
type ask uint8

const (
	askOrder ask = iota + 1
	askRecord
	askModel
)

// send is a message owed: sendJoin, sendEntry or sendDecline.
type send interface{ isSend() }

type (
	// sendJoin is a join with its counter and the highest order seen.
	sendJoin struct {
		Counter uint64
		Seen    stamp
	}
	// sendEntry is the outbox entry of a round, the same bytes every time.
	sendEntry struct{ Round uint64 }
	// sendDecline says that nothing will come for an order.
	sendDecline struct {
		Stamp  stamp
		Base   model.ContentID
		Schema model.Hash
		Reason string
		Detail string
	}
)

func (sendJoin) isSend()    {}
func (sendEntry) isSend()   {}
func (sendDecline) isSend() {}

// newMachine returns the machine of a task as it stood when st and entries
// were saved, with the model at hand.
func newMachine(cfg machineConfig, st state, entries []entry, have stored) *machine {
	m := &machine{cfg: cfg, st: st, have: have}
	for _, e := range entries {
		e.timer, e.answered = timer{}, false
		m.entries = append(m.entries, &e)
	}
	return m
}

// Ready returns the work owed since the last call.
func (m *machine) Ready() ready {
	r := m.out
	m.out = ready{}
	if m.dirty {
		st := m.st
		r.Save, m.dirty = &st, false
	}
	if v := m.view(); v != m.shown {
		m.shown = v
		r.Show = &v
	}
	r.Wake = m.wake()
	return r
}

// save marks the state as changed.
func (m *machine) save() { m.dirty = true }

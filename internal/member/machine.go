package member

import (
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// ms is a point in time (since the epoch) or a duration, in milliseconds.
type ms = int64

// Waiting times of a member (S-4, S-11, S-14).
const (
	joinFirst  ms = 5_000
	joinSoon   ms = 500
	sendFirst  ms = 10_000
	repeatMost ms = 60_000
	askEvery   ms = 60_000
	beatEvery  ms = 30_000
	leastBeat  ms = 10_000
	modelFirst ms = 3_000
	backEvery  ms = 3_000

	recordGrace ms = 2_000
	waitEvery   ms = 60_000
)

// mostWait bounds what an aggregator can have a process wait.
const mostWait ms = 3_600_000

// maxEntries is how many unanswered envelopes a task keeps (S-15).
const maxEntries = 16

// Machine is what one member does in one task: when to join, which order to
// obey, what to train, what to send and how often. It is pure: Step takes one
// event, Ready hands out the work it is owed since the last Ready, in the order
// in which it is to be done (save, then send). It sees counts, content ids and
// milliseconds, never the bytes of a model, and starts nothing.
type Machine struct {
	cfg Config
	st  State
	now ms

	connected bool
	order     *Order // the order obeyed in this life; nil until one arrived
	halted    bool   // two orders under one stamp and one instance (S-6)
	shut      bool   // outside of the hours of parts (S-28)
	head      head   // the last record seen
	have      Stored // the model at hand
	entries   []*Entry
	job       *Job
	running   bool // the job has the trainer
	sealing   bool // the job's result is being written to the outbox
	resealing bool // an entry is being sealed anew
	jobs      uint64
	decline   *decline
	trouble   string  // shown until the next round
	unheard   Unheard // nobody has answered it, 0: all is well
	back      ms      // when the aggregator came back last, 0: not in this life

	joining  timer
	asking   timer
	fetching timer
	beating  timer // what says that this process is there (S-4)

	out   Ready
	dirty bool
	shown View
	told  model.Hash // the model to be pulled, as last told
}

// Config is what a machine is told once.
type Config struct {
	Path       string     // member path below the namespace
	Instance   wire.Nonce // drawn at start
	Statistics bool       // the trainer answers statistics rounds
	Rand       Random     // spreads what is repeated
}

// Random draws a number of 0 to n-1, as rand.Rand does.
type Random interface{ Int64N(n int64) int64 }

// Ready is the work owed. The driver does it in the order of the fields.
type Ready struct {
	Save   *State      // to be durable, together with Drop, before anything below
	Drop   []uint64    // rounds whose outbox entries go
	Cancel uint64      // id of the job to stop, 0: none
	Seal   *Seal       // put the finished job's result into the outbox, answer EntryStored or Unsealed
	Reseal *Reseal     // seal an entry anew, answer EntryStored, EntryStuck or EntryLost
	Pull   *model.Hash // the one model to be pulled from now on, zero: none
	Grants []Granted   // parts of entries may be sent
	Send   []Send
	Ask    []Ask // retained topics to be subscribed to once more
	Start  *Job
	Show   *View  // the status has changed
	Anew   string // the task begins anew, in words for a person
	Stop   string // the site must end, with this reason
	Wait   *Wait  // the site must leave, and may come again
	Wake   ms     // when the next Tick is wanted, 0: never
}

// Granted is a grant of an aggregator's epoch.
type Granted struct {
	Epoch uint64
	wire.Grant
}

// head is what is kept of a record's head.
type head struct {
	Round   uint64
	Verdict string
}

// Seal asks for an envelope around the result of job ID.
type Seal struct {
	ID       uint64
	Stamp    wire.Stamp
	Base     model.Hash
	Schema   model.Hash
	Work     string
	PartSize uint32
}

// Reseal asks for another envelope around the content of an entry.
type Reseal struct {
	Round    uint64
	PartSize uint32
}

// Wait says that another process speaks for the member.
type Wait struct {
	For  ms
	Host string // where it runs
}

// Ask is a topic that the site is subscribed to.
type Ask uint8

// The topics.
const (
	AskOrder Ask = iota + 1
	AskRecord
	AskModel
	AskReply
)

// Send is a message owed: SendJoin, SendAgain, SendEntry or SendDecline.
type Send interface{ isSend() }

type (
	// SendJoin is a join with its counter and the highest order seen.
	SendJoin struct {
		Counter uint64
		Seen    wire.Stamp
	}
	// SendAgain is the last join, the same bytes: the process is there.
	SendAgain struct{}
	// SendEntry is the outbox entry of a round, the same bytes every time.
	SendEntry struct{ Round uint64 }
	// SendDecline says that nothing will come for an order.
	SendDecline struct {
		Stamp  wire.Stamp
		Base   model.Hash
		Schema model.Hash
		Reason string
		Detail string
	}
)

func (SendJoin) isSend()    {}
func (SendAgain) isSend()   {}
func (SendEntry) isSend()   {}
func (SendDecline) isSend() {}

// New returns the machine of a task as it stood when st and entries
// were saved, with the model at hand.
func New(cfg Config, st State, entries []Entry, have Stored) *Machine {
	m := &Machine{cfg: cfg, st: st, have: have}
	for _, e := range entries {
		m.entries = append(m.entries, e.fresh())
	}
	return m
}

// Ready returns the work owed since the last call.
func (m *Machine) Ready() Ready {
	r := m.out
	m.out = Ready{}
	if m.dirty {
		st := m.st
		r.Save, m.dirty = &st, false
	}
	if want := m.wants(); want != m.told {
		m.told = want
		r.Pull = &want
	}
	if v := m.view(); v != m.shown {
		m.shown = v
		r.Show = &v
	}
	r.Wake = m.wake()
	return r
}

// save marks the state as changed.
func (m *Machine) save() { m.dirty = true }

// Seen is the highest order obeyed.
func (m *Machine) Seen() wire.Stamp { return m.st.Seen }

// Have is the model at hand.
func (m *Machine) Have() Stored { return m.have }

// Base is the model that the order in force starts from; false without an order.
func (m *Machine) Base() (model.Hash, bool) {
	if m.order == nil {
		return model.Hash{}, false
	}
	return m.order.Base, true
}

// Welcomed reports whether the aggregator has taken this member in, as far as
// is known.
func (m *Machine) Welcomed() bool { return m.st.Welcomed }

// Entry returns the outbox entry of a round.
func (m *Machine) Entry(round uint64) (Entry, bool) {
	e := m.entry(round)
	if e == nil {
		return Entry{}, false
	}
	return *e, true
}

package site

import (
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
	waitEvery   ms = 60_000
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
	shut      bool   // outside of the hours of parts (S-28)
	head      head   // the last record seen
	have      stored // the model at hand
	entries   []*entry
	job       *job
	running   bool // the job has the trainer
	sealing   bool // the job's result is being written to the outbox
	resealing bool // an entry is being sealed anew
	jobs      uint64
	decline   *decline
	trouble   string // shown until the next round

	joining  timer
	asking   timer
	fetching timer

	out   ready
	dirty bool
	shown view
	told  model.ContentID // the model to be pulled, as last told
}

// machineConfig is what a machine is told once.
type machineConfig struct {
	Path       string // member path below the namespace
	Instance   nonce  // drawn at start
	Statistics bool   // the trainer answers statistics rounds
	Rand       *rand.Rand
}

// ready is the work owed. The driver does it in the order of the fields.
type ready struct {
	Save   *state           // to be durable, together with Drop, before anything below
	Drop   []uint64         // rounds whose outbox entries go
	Cancel uint64           // id of the job to stop, 0: none
	Seal   *seal            // put the finished job's result into the outbox, answer evStored or evUnsealed
	Reseal *reseal          // seal an entry anew, answer evStored, evStuck or evEntryLost
	Pull   *model.ContentID // the one model to be pulled from now on, zero: none
	Grants []grant          // parts of entries may be sent
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

// reseal asks for another envelope around the content of an entry.
type reseal struct {
	Round    uint64
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
		m.entries = append(m.entries, e.fresh())
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
func (m *machine) save() { m.dirty = true }

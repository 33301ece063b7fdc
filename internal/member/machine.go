package member

import (
	"slices"

	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/wire"
)

// Machine is what one member does in one task: when to join, which order to
// obey, what to train, what to send and how often. It is pure: Step takes one
// event, Ready hands out the work it is owed since the last Ready, in the order
// in which it is to be done (save, then send).
type Machine struct {
	cfg Config
	st  State
	now ms

	connected bool
	order     *Order    // the order obeyed in this life; nil until one arrived
	halted    bool      // two orders under one stamp and one instance (S-6)
	shut      bool      // outside of the hours of parts (S-28)
	head      head      // the last record seen
	answered  bool      // a join, in this life
	heard     uint64    // epoch of the last welcome in this life
	placed    placed    // an update of a former life that the aggregator has
	have      Stored    // the model at hand
	cut       wire.Blob // of that model, without parts: not known
	latest    Stored    // a model that came whole and no order has asked for yet
	pull      pull
	entries   []*Entry
	flying    map[uint64]bool // rounds whose entries wait for their PUBACKs; true: to be sent once more then
	upload    *upload         // the update that goes in parts, nil: none was granted
	drawn     uint64          // ids of uploads
	paced     ms              // when more of its parts may leave, 0: none waits
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
	told     wire.Stamp // what the last join of this life said was seen
	asking   timer
	fetching timer
	beating  timer // what says that this process is there (S-4)

	out   Ready
	dirty bool
	shown View
}

// Config is what a machine is told once.
type Config struct {
	Path       string     // member path below the namespace
	Instance   wire.Nonce // drawn at start
	Statistics bool       // the trainer answers statistics rounds
	Bulk       []string   // roots of bulk that are accepted (T-21)
	Line       *Line      // shared by the machines of a site; nil: no cap
	Rand       Random     // spreads what is repeated
}

// head is what is kept of a record's head.
type head struct {
	round   uint64
	verdict string
	counted bool // an update of this member
}

// placed is a receipt of an update that is not in the outbox (S-50).
type placed struct {
	round   uint64
	attempt uint32
	epoch   uint64
}

// New returns the machine of a task as it stood when st and entries
// were saved, with the model at hand, and how its parts were cut if it came in parts.
func New(cfg Config, st State, entries []Entry, have Stored, cut wire.Blob) *Machine {
	if cfg.Line == nil {
		cfg.Line = NewLine(0)
	}
	m := &Machine{cfg: cfg, st: st, have: have, cut: cut, pull: pull{puller: transfer.NewPuller()}, flying: map[uint64]bool{}}
	for _, e := range entries {
		m.entries = append(m.entries, e.fresh())
	}
	return m
}

// save marks the state as changed.
func (m *Machine) save() { m.dirty = true }

// Seen is the highest order obeyed.
func (m *Machine) Seen() wire.Stamp { return m.st.Seen }

// Bulk is the root of bulk of the order in force, "" if there is none, or it is not
// accepted.
func (m *Machine) Bulk() string {
	if m.order == nil || !m.accepts(m.order.Bulk) {
		return ""
	}
	return m.order.Bulk
}

// accepts reports whether the site takes models and updates below a root of bulk.
func (m *Machine) accepts(root string) bool {
	return root == "" || slices.Contains(m.cfg.Bulk, root)
}

// Ordered reports whether an order is in force.
func (m *Machine) Ordered() bool { return m.order != nil }

// Origin is that of the task whose orders are obeyed; zero before the first.
func (m *Machine) Origin() wire.Nonce { return m.st.Origin }

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

func (m *Machine) entry(round uint64) *Entry {
	for _, e := range m.entries {
		if e.Round == round {
			return e
		}
	}
	return nil
}

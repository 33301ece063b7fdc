package member

import (
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// decide compares what is wanted with what is under way. It runs after every
// event, so that no order of events can leave work undone.
func (m *Machine) decide() {
	if m.order == nil {
		return
	}
	m.keepLatest()
	if m.job != nil && m.job.Key == m.order.key() {
		m.job.Attempt = m.order.Attempt
	}
	if m.job != nil && (m.halted || m.vain()) {
		m.cancel()
	}
	k, ok := m.due()
	if !ok {
		m.fetching = timer{}
		if m.decline != nil {
			m.decline.answered = true
		}
		return
	}
	if e := m.entry(k.Round); e != nil {
		if e.usable(m.order) {
			if !m.accepts(m.order.Bulk) && m.decline == nil {
				m.otherRoot() // the update waits for an order with another
			}
			return
		}
		m.drop(e)
		m.tell(e, false)
	}
	o := m.order
	switch {
	case m.job != nil, m.decline != nil:
	case m.st.Over.Key == k && o.ValidFrom <= m.st.Over.Attempt:
		// Done with this work. What was refused for good is said again for
		// each attempt, so that nobody waits for it.
		if m.st.Over.Refused && o.Attempt > m.st.Over.Attempt {
			m.say(wire.DeclineRefused, m.st.Over.Verdict)
		}
	case m.has(o), m.owes():
		m.fetching = timer{}
	case o.Lacks != "":
		m.say(wire.DeclineUnsupported, o.Lacks)
	case !m.accepts(o.Bulk):
		m.otherRoot()
	case !m.able(o.Work):
		m.say(wire.DeclineUnsupported, "work "+o.Work)
	case m.have.Content != o.Base:
		if !m.fetching.on {
			m.fetching.set(m.now+jitter(m.cfg.Rand, modelFirst), 2*modelFirst)
		}
	case m.have.Schema != o.Schema:
		m.say(wire.DeclineSchema, "the base model has another schema than the order")
	default:
		if m.fetching = (timer{}); m.asked(o) {
			m.start()
		}
	}
}

// has reports whether the aggregator has an update of this member for an order, which
// the member has not (S-50).
func (m *Machine) has(o *Order) bool {
	p := m.placed
	return p.round == o.Round && p.epoch == o.Epoch && p.attempt >= o.ValidFrom && m.entry(o.Round) == nil
}

// asked reports whether the aggregator has said in this life what it has of this member,
// or that it has nothing (S-50).
func (m *Machine) asked(o *Order) bool {
	return m.answered && (m.placed.round != o.Round || m.heard >= o.Epoch)
}

// otherRoot declines an order whose root of bulk is not accepted (S-49).
func (m *Machine) otherRoot() {
	m.say(wire.DeclineUnsupported, "bulk below "+m.order.Bulk+", which the key bulk of this site does not list")
}

// due reports what the order in force asks of this member, if anything.
func (m *Machine) due() (Key, bool) {
	o := m.order
	if o == nil || m.halted || o.Work == wire.WorkNone || !m.takesPart() || m.roundOver() {
		return Key{}, false
	}
	return o.key(), true
}

// takesPart reports whether the member is in the cohort as far as it can tell:
// welcomed in time, and drawn (S-7, S-8).
func (m *Machine) takesPart() bool {
	o := m.order
	if !m.st.Welcomed || o.Round < m.st.FromRound || o.Round == m.st.FromRound && o.Attempt < m.st.FromAttempt {
		return false
	}
	return wire.Sampled(o.SampleSeed, o.SampleThreshold, m.cfg.Path)
}

// roundOver reports whether the order's round has been committed.
func (m *Machine) roundOver() bool {
	return m.head.verdict != "" && m.head.verdict != verdictAbandoned && m.head.round == m.order.Round
}

// able reports whether the trainer can do a kind of work.
func (m *Machine) able(work string) bool {
	switch work {
	case wire.WorkTrain, wire.WorkEvaluate: // without an evaluator there are no metrics to tell
		return true
	case wire.WorkStatistics:
		return m.cfg.Statistics
	}
	return false
}

// keepLatest has the model that came whole stored if it is the base of the order
// in force (S-9).
func (m *Machine) keepLatest() {
	if m.latest == (Stored{}) || m.latest.Content != m.order.Base {
		return
	}
	is := m.latest
	m.have, m.cut, m.latest = is, wire.Blob{}, Stored{}
	m.out.Store = &is
}

func (m *Machine) start() {
	m.jobs++
	o := m.order
	m.job = &Job{Key: o.key(), ID: m.jobs, Attempt: o.Attempt, Settings: o.Settings, Seed: o.Seed, Contract: o.Contract, Encoding: o.Encoding, Locals: model.Locals{Share: o.Share, Keep: o.Keep}, Late: o.Late > 0 && o.Work == wire.WorkTrain}
	if o.Local != nil {
		m.job.Local = *o.Local
	}
	m.running, m.sealing = false, false
	j := *m.job
	m.out.Start = &j
}

func (m *Machine) cancel() {
	m.out.Cancel = m.job.ID
	m.job, m.running, m.sealing = nil, false, false
}

func (m *Machine) onFinished(e Finished) {
	if m.job == nil || m.job.ID != e.ID {
		return
	}
	if e.Reason != "" {
		m.giveUp(e.Reason, e.Detail)
		return
	}
	o, j := m.order, m.job
	m.running, m.sealing = false, true
	at := wire.Stamp{Epoch: o.Epoch, Round: j.Round, Attempt: j.Attempt}
	m.out.Seal = &Seal{ID: e.ID, Stamp: at, Base: j.Base, Schema: o.Schema, Work: j.Work, PartSize: o.PartSize, Bulk: o.Bulk, Late: j.Late}
}

// giveUp ends the job without a result. That of an earlier order is not declined: nobody
// waits for it, and the order in force is next.
func (m *Machine) giveUp(reason, detail string) {
	late := m.job.Key != m.order.key()
	m.job, m.running, m.sealing = nil, false, false
	if !late {
		m.say(reason, detail)
	}
}

// say declines the order in force.
func (m *Machine) say(reason, detail string) {
	o := m.order
	m.decline = &decline{Stamp: o.Stamp, Base: o.Base, Schema: o.Schema, Reason: reason, Detail: detail}
	m.decline.set(m.now+m.offset(o), m.patience(o))
	m.trouble = "declined: " + reason
	if detail != "" {
		m.trouble += ": " + detail
	}
}

// onModelLost has the base fetched again.
func (m *Machine) onModelLost() {
	m.have, m.cut, m.latest = Stored{}, wire.Blob{}, Stored{}
	if m.job != nil {
		m.cancel()
	}
}

// Reseal has one entry at a time sealed for smaller messages (S-26), or for another
// topic (S-49).
func (m *Machine) reseal() {
	if m.resealing || m.out.Seal != nil || m.order != nil && !m.accepts(m.order.Bulk) {
		return
	}
	for _, e := range m.entries {
		if e.over(m.order) && !e.stuck {
			m.resealing = true
			m.out.Reseal = &Reseal{Round: e.Round, PartSize: m.order.PartSize, Bulk: m.order.Bulk}
			return
		}
	}
}

// onStuck keeps an entry that does not fit for a later order, and says so.
func (m *Machine) onStuck(ev EntryStuck) {
	m.resealing = false
	e := m.entry(ev.Round)
	if e == nil || m.order == nil {
		return
	}
	e.stuck = true
	if k, ok := m.due(); ok && e.usable(m.order) && k.Round == e.Round && m.decline == nil {
		m.say(wire.DeclineTooLarge, ev.Detail)
	}
}

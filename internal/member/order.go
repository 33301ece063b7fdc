package member

import (
	"bytes"
	"fmt"

	"github.com/fedmq/fedmq/wire"
)

// onOrder obeys an order unless a higher one was obeyed before (S-5, S-6).
func (m *Machine) onOrder(o Order) {
	anew, ok := m.follows(o)
	if !ok {
		return
	}
	c := o.Compare(m.st.Seen)
	known := o.Hash == m.st.OrderHash
	switch {
	case o.Epoch > m.st.Seen.Epoch && o.Round < m.st.Seen.Round:
		m.fallen(o)
		return
	case c < 0:
		if m.order == nil {
			m.trouble = fmt.Sprintf("order %s ignored: %s was obeyed before", o.Stamp, m.st.Seen)
		}
		return
	case c == 0 && known:
		if m.order != nil {
			return
		}
	case c == 0 && bytes.Compare(o.Instance[:], m.st.Instance[:]) < 0:
		return
	case c == 0 && o.Instance == m.st.Instance:
		m.halted = true
		m.trouble = fmt.Sprintf("two different orders %s from one aggregator", o.Stamp)
		return
	}
	if m.order != nil && o.Epoch == m.order.Epoch {
		m.attemptOver()
	}
	m.rejoin(o)
	m.halted, m.trouble = false, anew
	m.order = &o
	if !known || c != 0 {
		m.st.Seen, m.st.OrderHash, m.st.Instance = o.Stamp, o.Hash, o.Instance
		m.save()
	}
	if m.decline != nil && m.decline.Stamp != o.Stamp {
		m.decline = nil
	}
	m.fetching = timer{}
	for _, e := range m.entries {
		m.arm(e)
	}
}

// rejoin has a join sent at once for an order of a higher epoch than the last
// welcome's. If a first join is under way its welcome may be too; of an epoch
// that is new to the site it may also have come before anybody listened (S-4).
func (m *Machine) rejoin(o Order) {
	switch {
	case o.Epoch <= m.st.WelcomeEpoch:
	case m.joining.on && m.joining.every > 2*joinFirst && o.Epoch == m.st.Seen.Epoch:
		m.joining.resume(m.now, joinFirst) // the next attempt of whoever did not answer
	case !m.joining.on || m.joining.every > 2*joinFirst:
		m.joining.set(m.now, joinFirst)
	case o.Epoch > m.st.Seen.Epoch:
		m.joining.due = min(m.joining.due, m.now+jitter(m.cfg.Rand, joinSoon))
	}
}

// fallen does not obey an order of a higher epoch that goes back in rounds: the
// aggregator runs on an older copy of its data. The join tells it so (S-40).
func (m *Machine) fallen(o Order) {
	m.rejoin(o)
	m.trouble = fmt.Sprintf("order %s ignored: round %d was seen; the aggregator runs on an older copy of its data", o.Stamp, m.st.Seen.Round)
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

// verdictAbandoned is the verdict in the head of a record whose round is opened again.
const verdictAbandoned = "abandoned"

// decide compares what is wanted with what is under way. It runs after every
// event, so that no order of events can leave work undone.
func (m *Machine) decide() {
	if m.order == nil {
		return
	}
	m.keepLatest()
	if m.job != nil && (m.halted || m.job.Key != m.order.key() || m.roundOver()) {
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
	case o.Lacks != "":
		m.say(wire.DeclineUnsupported, o.Lacks)
	case !m.able(o.Work):
		m.say(wire.DeclineUnsupported, "work "+o.Work)
	case m.have.Content != o.Base:
		if !m.fetching.on {
			m.fetching.set(m.now+jitter(m.cfg.Rand, modelFirst), 2*modelFirst)
		}
	case m.have.Schema != o.Schema:
		m.say(wire.DeclineSchema, "the base model has another schema than the order")
	default:
		m.fetching = timer{}
		m.start()
	}
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

func (m *Machine) start() {
	m.jobs++
	o := m.order
	m.job = &Job{Key: o.key(), ID: m.jobs, Attempt: o.Attempt, Settings: o.Settings, Seed: o.Seed}
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
	o := m.order
	m.running, m.sealing = false, true
	m.out.Seal = &Seal{ID: e.ID, Stamp: o.Stamp, Base: o.Base, Schema: o.Schema, Work: o.Work, PartSize: o.PartSize}
}

// giveUp ends the job without a result.
func (m *Machine) giveUp(reason, detail string) {
	m.job, m.running, m.sealing = nil, false, false
	m.say(reason, detail)
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

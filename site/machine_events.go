package site

import "github.com/fedmq/fedmq/model"

// event is what happens to a machine. The set is closed.
type event interface{ isEvent() }

type (
	// evConnected: the link is up and all subscriptions are acknowledged.
	evConnected struct{}
	// evDisconnected: the link is down.
	evDisconnected struct{}
	// evTick: time has passed.
	evTick struct{}
	// evOrder: a verified order.
	evOrder struct{ Order order }
	// evModel: a verified model is stored.
	evModel struct{ Model stored }
	// evModelLost: the stored model could not be read back.
	evModelLost struct{}
	// evReply: a verified reply; Epoch is that of its header.
	evReply struct {
		Epoch uint64
		Reply reply
	}
	// evRecord: the head of a record.
	evRecord struct{ Head head }
	// evBegan: the job has the trainer.
	evBegan struct{ ID uint64 }
	// evFinished: the job has ended; Reason is "" when its result is at hand,
	// else why there is none.
	evFinished struct {
		ID     uint64
		Reason string
		Detail string
	}
	// evStored: the entry is durable in the outbox.
	evStored struct{ Entry entry }
	// evStuck: the entry cannot be sealed for the part size of the order.
	evStuck struct {
		Round  uint64
		Detail string
	}
	// evEntryLost: the bytes of an entry cannot be read back.
	evEntryLost struct{ Round uint64 }
	// evHours: the hours of parts begin or end.
	evHours struct{ Open bool }
	// evTaken: the broker has taken a part of the entry.
	evTaken struct{ Round uint64 }
	// evUnsealed: there will be no entry for the job.
	evUnsealed struct {
		ID     uint64
		Reason string
		Detail string
	}
)

func (evConnected) isEvent()    {}
func (evDisconnected) isEvent() {}
func (evTick) isEvent()         {}
func (evOrder) isEvent()        {}
func (evModel) isEvent()        {}
func (evModelLost) isEvent()    {}
func (evReply) isEvent()        {}
func (evRecord) isEvent()       {}
func (evBegan) isEvent()        {}
func (evFinished) isEvent()     {}
func (evStored) isEvent()       {}
func (evUnsealed) isEvent()     {}
func (evStuck) isEvent()        {}
func (evEntryLost) isEvent()    {}
func (evTaken) isEvent()        {}
func (evHours) isEvent()        {}

// reply is an answer of the aggregator to this member.
type reply interface{ isReply() }

type (
	welcome struct {
		Index       uint32
		FromRound   uint64
		FromAttempt uint32
	}
	receipt struct {
		Round   uint64
		Attempt uint32
		Content model.ContentID
	}
	settled struct {
		Round   uint64
		Content model.ContentID
		Verdict string
	}
	refusal struct {
		Round   uint64
		Attempt uint32
		Content model.ContentID
		Reason  string
		Detail  string
		Counter uint64
	}
	superseded struct{ Instance nonce }
	// waiting: the offer is known, its turn comes later.
	waiting struct {
		Round   uint64
		Content model.ContentID
		Ahead   uint32
	}
	// grant: parts of an offered update may be sent. Epoch is that of the
	// reply's header, put in by the machine.
	grant struct {
		Epoch  uint64
		Round  uint64
		Seq    uint64
		Blob   blobKey
		Ranges []span
	}
)

func (welcome) isReply()    {}
func (receipt) isReply()    {}
func (settled) isReply()    {}
func (refusal) isReply()    {}
func (superseded) isReply() {}
func (waiting) isReply()    {}
func (grant) isReply()      {}

// Step takes one event at time now. Time that goes backwards is taken as
// standing still for what is already armed.
func (m *machine) Step(now ms, ev event) {
	m.now = now
	switch e := ev.(type) {
	case evConnected:
		m.onConnected()
	case evDisconnected:
		m.connected = false
	case evTick:
	case evOrder:
		m.onOrder(e.Order)
	case evModel:
		m.have = e.Model
	case evModelLost:
		m.have = stored{}
		if m.job != nil {
			m.cancel()
		}
	case evReply:
		m.onReply(e.Epoch, e.Reply)
	case evRecord:
		m.onRecord(e.Head)
	case evBegan:
		m.running = m.job != nil && m.job.ID == e.ID
	case evFinished:
		m.onFinished(e)
	case evStored:
		m.onStored(e.Entry)
	case evStuck:
		m.onStuck(e)
	case evEntryLost:
		m.resealing = false
		if e := m.entry(e.Round); e != nil {
			m.drop(e)
		}
	case evHours:
		m.onHours(e.Open)
	case evTaken:
		if e := m.entry(e.Round); e != nil && m.sendable(e) {
			m.putOff(e)
		}
	case evUnsealed:
		if m.job != nil && m.job.ID == e.ID {
			m.giveUp(e.Reason, e.Detail)
		}
	}
	m.decide()
	m.reseal()
	m.act()
}

// onHours holds back what goes in parts, or has it offered now (S-28).
func (m *machine) onHours(open bool) {
	m.shut = !open
	for _, e := range m.entries {
		if open && e.on && !e.answered && e.Blob != (blobKey{}) {
			m.arm(e)
		}
	}
}

// held reports whether an entry waits for the hours of parts.
func (m *machine) held(e *entry) bool { return m.shut && e.Blob != (blobKey{}) }

func (m *machine) onConnected() {
	m.connected = true
	m.joining.set(m.now, joinFirst)
	m.asking.set(m.now+jitter(m.cfg.Rand, askEvery), askEvery)
	if m.fetching.on {
		m.fetching.set(m.now+jitter(m.cfg.Rand, modelFirst), 2*modelFirst)
	}
	for _, e := range m.entries {
		if e.on && !e.answered {
			m.arm(e)
		}
	}
	if d := m.decline; d != nil && !d.answered {
		d.set(m.now, m.patience(m.order))
	}
}

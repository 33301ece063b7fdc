package site

import (
	"encoding/hex"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// audit tells one thing of a task.
func (s *site) audit(t *task, e Audited) {
	if s.cfg.Audit == nil {
		return
	}
	e.Task = t.Name
	s.cfg.Audit(e)
}

// auditModel tells of a model that was verified and is on disk.
func (s *site) auditModel(t *task, id model.Hash, size int64) {
	s.audit(t, Audited{Event: audit.Model, Model: id.String(), Bytes: size})
}

// auditUpdate tells of an update that is on disk and will be sent.
func (s *site) auditUpdate(t *task, e member.Entry, u wire.Update) {
	a := Audited{
		Event: audit.Update, Round: e.Round, Attempt: e.Attempt, Work: e.Work, Content: e.Content.String(),
		Rows: u.Samples,
	}
	if !e.Base.IsZero() {
		a.Model = e.Base.String()
	}
	if u.Tensors != nil {
		a.Bytes = int64(len(u.Tensors.Blob))
	}
	s.audit(t, a)
}

// auditSent tells that the broker has taken an update, or the offer of one that
// goes in parts.
func (s *site) auditSent(t *task, round uint64) {
	a := Audited{Event: audit.Sent, Round: round}
	if e, ok := t.m.Entry(round); ok { // else settled meanwhile
		a.Attempt, a.Content = e.Attempt, e.Content.String()
	}
	s.audit(t, a)
}

// auditDecline tells that this site will not answer an order.
func (s *site) auditDecline(t *task, m member.SendDecline) {
	s.audit(t, Audited{Event: audit.Declined, Epoch: m.Stamp.Epoch, Round: m.Stamp.Round, Attempt: m.Stamp.Attempt, Reason: m.Reason, Detail: clip(m.Detail)})
}

// auditReply tells what an aggregator says of this site and its updates. The
// same again is told once.
func (s *site) auditReply(t *task, h wire.Header, r wire.Reply) {
	if _, welcome := r.(wire.Welcome); welcome {
		if t.welcomed == h.Epoch { // it is there still
			return
		}
		t.welcomed = h.Epoch
	}
	e, ok := auditedReply(h, r)
	if !ok || e == t.settled {
		return
	}
	t.settled = e
	s.audit(t, e)
}

// auditedReply is a reply as an auditor reads it; false: it says nothing of a
// membership or an update.
func auditedReply(h wire.Header, r wire.Reply) (Audited, bool) {
	e := Audited{Event: audit.Settled, Key: hex.EncodeToString(h.KeyID)}
	switch r := r.(type) {
	case wire.Welcome:
		e.Event, e.Epoch = audit.Joined, h.Epoch
	case wire.Superseded:
		e.Event = audit.Superseded
	case wire.Receipt:
		e.Round, e.Content, e.Outcome = r.Round, r.Content.String(), "accepted"
	case wire.Settled:
		e.Round, e.Content, e.Outcome = r.Round, r.Content.String(), r.Verdict
	case wire.RefusalReply:
		e.Round, e.Outcome, e.Reason, e.Detail = r.Round, "refused", r.Reason, clip(r.Detail)
		if !r.Content.IsZero() {
			e.Content = r.Content.String()
		}
	default:
		return e, false
	}
	return e, true
}

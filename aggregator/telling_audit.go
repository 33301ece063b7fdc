package aggregator

import (
	"cmp"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/audit"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// maxUnheard bounds the lines that strangers can provoke, a second.
const maxUnheard = 16

// audit tells one thing of the task.
func (t *telling) audit(e Audited) {
	if t.by.audits() == nil {
		return
	}
	e.Task = t.task
	t.by.audits()(e)
}

// auditFact tells what the machine says. Ends of attempts are told with their
// records.
func (t *telling) auditFact(f round.Fact) {
	if t.by.audits() == nil { // with many members there are many
		return
	}
	e := Audited{
		Round: f.Round, Attempt: f.Attempt, Work: f.Work, Member: f.Member,
		Detail: f.Detail, Count: f.Count,
	}
	if f.Reason != verdict.None {
		e.Reason = f.Reason.String()
	}
	if !f.Content.IsZero() {
		e.Content = f.Content.String()
	}
	switch f.Kind {
	case round.FactJoined:
		e.Event, e.Key = audit.Joined, t.audited.keys[f.Member]
	case round.FactLeft:
		e.Event = audit.Left
	case round.FactSuperseded:
		e.Event = audit.Superseded
	case round.FactContested:
		e.Event = audit.Contested
	case round.FactOpened:
		e.Event = audit.Opened
	case round.FactAccepted:
		e.Event, e.Key = audit.Accepted, t.audited.keys[f.Member]
	case round.FactRefused:
		e.Event, e.Key = audit.Rejected, t.audited.keys[f.Member]
	case round.FactDeclined:
		e.Event, e.Key = audit.Declined, t.audited.keys[f.Member]
	case round.FactHalted:
		e.Event = audit.Halted
	case round.FactCommand:
		e = t.auditCommand(e)
	default:
		return
	}
	t.audit(e)
}

// auditCommand names who gave the command, and what came of it.
func (t *telling) auditCommand(e Audited) Audited {
	by := t.audited.commands[e.Member]
	delete(t.audited.commands, e.Member)
	e.Event, e.ID, e.Operator, e.Key = audit.Command, e.Member, by.operator, by.key
	e.Command, e.Outcome, _ = strings.Cut(e.Detail, ": ")
	e.Member, e.Detail = "", ""
	return e
}

// auditRefusedCommand tells of one that did not get as far as the machine.
func (t *telling) auditRefusedCommand(why string) {
	t.unheard(unheard{audit.Command, t.audited.signer, why})
}

// signedBy notes which key a command names; whether it verifies is not known yet.
func (t *telling) signedBy(kid [8]byte) {
	t.audited.signer, t.audited.operator = hex.EncodeToString(kid[:]), t.by.operatorOf(kid)
}

// commanded notes who gave a command, whose signature was verified.
func (t *telling) commanded(id string) {
	if t.by.audits() == nil || t.audited.signer == "" {
		return
	}
	if t.audited.commands == nil {
		t.audited.commands = map[string]commander{}
	}
	t.audited.commands[id] = commander{t.audited.operator, t.audited.signer}
}

// noteKey notes the key that a member's message carried.
func (t *telling) noteKey(path string, kid []byte) {
	if t.by.audits() == nil || len(kid) == 0 {
		return
	}
	if t.audited.keys == nil {
		t.audited.keys = map[string]string{}
	}
	t.audited.keys[path] = hex.EncodeToString(kid)
}

// auditRecord tells of an attempt that has ended.
func (t *telling) auditRecord(r record.Sealed) {
	e := Audited{
		Event: audit.Round, Epoch: r.Epoch, Round: r.Round, Attempt: r.Attempt, Work: r.Work, Outcome: r.Verdict,
		Detail: r.Reason, Count: r.Counts()["counted"], Record: r.Hash.String(), Security: t.by.security(),
	}
	if r.Verdict != record.Abandoned {
		e.Version, e.Model = &r.Version, r.Model.String()
	}
	t.audit(e)
}

// auditPublished tells of a version of the model that the broker has taken.
func (t *telling) auditPublished(v version) {
	if v == t.audited.published || v.content == (model.Hash{}) {
		return
	}
	t.audited.published = v
	t.audit(Audited{Event: audit.Published, Epoch: t.of.current().Epoch, Version: &v.number, Model: v.content.String()})
}

// unheard counts a message whose sender is not proven.
func (t *telling) unheard(k unheard) {
	if t.by.audits() == nil {
		return
	}
	u := &t.audited
	if u.unheard == nil {
		u.unheard = map[unheard]int{}
	}
	if _, ok := u.unheard[k]; !ok && len(u.unheard) >= maxUnheard {
		k.sender = "" // and others
		if k.event == audit.Command {
			k.why = "and others" // their texts are not of a list
		}
	}
	u.unheard[k]++
}

// auditUnheard tells what unheard has counted.
func (t *telling) auditUnheard() {
	of := slices.SortedFunc(maps.Keys(t.audited.unheard), func(a, b unheard) int {
		return cmp.Or(cmp.Compare(a.event, b.event), cmp.Compare(a.sender, b.sender), cmp.Compare(a.why, b.why))
	})
	for _, k := range of {
		n := t.audited.unheard[k]
		e := Audited{Event: k.event, Member: k.sender, Reason: k.why, Count: n}
		if k.event == audit.Command {
			e = Audited{Event: k.event, Round: t.of.current().Round, Attempt: t.of.current().Attempt, Key: k.sender, Outcome: "refused, " + k.why, Count: n}
		}
		t.audit(e)
	}
	clear(t.audited.unheard)
}

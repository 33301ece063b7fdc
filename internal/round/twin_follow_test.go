package round_test

import (
	"slices"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// event writes down what an event changes, before the machine sees it, but
// for updates, whose answer is compared first.
func (w *twin) event(ev round.Event, now int64) {
	w.mark = len(w.log)
	switch ev := ev.(type) {
	case round.Started:
		if len(w.eligible()) < w.cfg.Quorum {
			w.note(note{kind: forgiven, now: now})
		}
	case round.Connected:
		w.note(note{kind: linkUp, now: now})
	case round.Disconnected:
		w.note(note{kind: linkDown, now: now})
	case round.Published:
		if w.isOpen() && ev.Order.Round == w.round() && ev.Order.Attempt == w.attempt() {
			w.note(note{kind: publishd, now: now})
		}
	case round.Uploading:
		kind := sent
		if ev.On {
			kind = sending
		}
		if slices.Contains(w.welcomed(), ev.Member) {
			w.note(note{kind: kind, member: ev.Member, now: now})
			if ev.On {
				w.note(note{kind: heard, member: ev.Member, now: now})
			}
		}
	case round.Heard:
		w.note(note{kind: heard, member: ev.Member, now: now})
	case round.Decline:
		w.note(note{kind: heard, member: ev.Member, now: now})
		_, live, _ := w.place(ev.Member)
		if w.isOpen() && ev.Round == w.round() && ev.Attempt == w.attempt() && !live && slices.Contains(w.cohort(), ev.Member) {
			w.note(note{kind: declined, member: ev.Member, now: now})
		}
	case round.Committed:
		if w.isClosing() {
			w.note(note{kind: ended, names: w.silent(), now: now})
			w.note(note{kind: advanced, now: now})
		}
	}
}

// ready compares a Ready with what the log says should be in it.
func (w *twin) ready(ev round.Event, rd round.Ready, now int64) {
	var reply wire.Reply
	settled := false
	admitted := false
	for _, msg := range rd.Send {
		switch msg := msg.(type) {
		case round.SendReply:
			reply = msg.Reply
		case round.SendSettled:
			settled = true
		case round.SendAdmit:
			admitted = true
		}
	}
	switch ev := ev.(type) {
	case round.Update:
		w.updated(ev, reply, settled, admitted, now)
	case round.Join:
		if _, ok := reply.(wire.Welcome); ok && !w.saidBefore(ev) {
			w.note(note{kind: joined, member: ev.Member, content: ev.Digest, now: now})
		}
	}
	running := w.isOpen()
	for _, msg := range rd.Send {
		if f, ok := msg.(round.SendEvent); ok {
			w.fact(f.Fact, rd, now)
		}
	}
	if last, _ := w.last(opened, halted, closing, ended, cutShort, crashed); running && last.kind == opened && w.attempt() == w.opening() && w.over(now) {
		if _, at := w.last(opened); at < w.mark {
			w.t.Fatalf("after %#v attempt %d.%d should have ended", ev, w.round(), w.attempt())
		}
	}
	if s := rd.Save.State; s != nil {
		if s.Round != w.round() || s.Attempt != w.attempt() {
			w.t.Fatalf("state at %d.%d, the log says %d.%d", s.Round, s.Attempt, w.round(), w.attempt())
		}
		if o := s.Order; o != nil && o.Work != wire.WorkNone {
			if got, want := o.CohortHash, round.CohortHash(w.cohort()); o.Round == w.round() && o.Attempt == w.opening() && got != want {
				w.t.Fatalf("order %d.%d for a cohort of %d, want %v", o.Round, o.Attempt, o.CohortSize, w.cohort())
			}
		}
	}
}

func (w *twin) opening() uint32 {
	n, _ := w.last(opened)
	return n.attempt
}

// updated compares the answer to an update.
func (w *twin) updated(u round.Update, reply wire.Reply, settled, admitted bool, now int64) {
	want := w.answer(u)
	got := ""
	switch r := reply.(type) {
	case wire.Receipt:
		got = "counted"
		if want == "again" {
			got = "again"
		}
	case wire.RefusalReply:
		got = r.Reason
	}
	if settled {
		got = "settled"
	}
	if admitted {
		got += "admit" // alone
	}
	if got != want {
		w.t.Fatalf("update %s of %s for %d.%d at %d.%d: answered %q, want %q",
			text(u.Content[:]), u.Member, u.Round, u.Attempt, w.round(), w.attempt(), got, want)
	}
	if want != "unknown_member" {
		w.note(note{kind: heard, member: u.Member, now: now})
	}
	_, _, holds := w.place(u.Member)
	_, bad := w.refused(u.Member)
	switch why, _ := verdict.Parse(got); {
	case why == verdict.Counted:
		w.note(note{kind: accept, member: u.Member, content: u.Content, attempt: w.attempt(), now: now})
	case !holds && !bad && (why == u.Problem && why != verdict.None || why == verdict.OutOfRange):
		w.note(note{kind: refuse, member: u.Member, content: u.Content, reason: why, now: now})
	}
}

// fact follows the machine from phase to phase and checks each record.
func (w *twin) fact(f round.Fact, rd round.Ready, now int64) {
	switch f.Kind {
	case round.FactOpened:
		can := w.eligible()
		if f.Count != len(can) || len(can) < w.cfg.Quorum {
			w.t.Fatalf("opened %d.%d for %d members, eligible %v, quorum %d%v", f.Round, f.Attempt, f.Count, can, w.cfg.Quorum, w)
		}
		w.note(note{kind: opened, names: can, round: f.Round, attempt: f.Attempt, now: now})
		if f.Work != w.work() {
			w.t.Fatalf("round %d is for %s, want %s", f.Round, f.Work, w.work())
		}
	case round.FactHalted:
		w.note(note{kind: halted, attempt: f.Attempt, now: now})
	case round.FactClosing:
		if !w.over(now) || w.folded() < w.cfg.Quorum {
			w.t.Fatalf("closing %d.%d with %d of quorum %d, over: %v", f.Round, f.Attempt, w.folded(), w.cfg.Quorum, w.over(now))
		}
		w.entries(rd.Commit.Entries, verdict.Counted)
		w.note(note{kind: closing, now: now})
	case round.FactAbandoned:
		w.abandoned(f, rd, now)
	}
}

func (w *twin) abandoned(f round.Fact, rd round.Ready, now int64) {
	rec := rd.Save.Records[0]
	for _, r := range rd.Save.Records {
		if r.Attempt == f.Attempt {
			rec = r
		}
	}
	operator := rec.Reason == round.ClosePause || rec.Reason == round.CloseStop
	if operator {
		w.entries(rec.Entries, verdict.Kept)
		w.note(note{kind: cutShort, now: now})
		return
	}
	if !w.over(now) || w.folded() >= w.cfg.Quorum {
		w.t.Fatalf("abandoned %d.%d with %d of quorum %d, over: %v", f.Round, f.Attempt, w.folded(), w.cfg.Quorum, w.over(now))
	}
	var good, willing, neither int // neither refused nor out of this attempt
	for _, p := range w.cohort() {
		_, bad := w.refused(p)
		bad = bad && !w.holds(p)
		out := w.sitsOut(p) && !w.holds(p)
		if !bad {
			good++
		}
		if bad || !out {
			willing++
		}
		if !bad && !out {
			neither++
		}
	}
	if good < w.cfg.Quorum || neither < w.cfg.Quorum && willing >= w.cfg.Quorum {
		w.entries(rec.Entries, verdict.Lapsed)
		w.note(note{kind: ended, names: w.silent(), now: now})
		w.note(note{kind: lapsed, attempt: f.Attempt, now: now})
		return
	}
	w.entries(rec.Entries, verdict.Kept)
	w.note(note{kind: ended, names: w.silent(), now: now})
	for _, p := range w.cohort() {
		if w.promised(p) {
			w.note(note{kind: givenUp, member: p, now: now})
		}
	}
}

func (w *twin) holds(member string) bool {
	_, _, ok := w.place(member)
	return ok
}

// silent returns who of the cohort was asked and neither heard since nor
// folded or refused.
func (w *twin) silent() []string {
	_, from := w.last(opened)
	var names []string
	for _, p := range w.cohort() {
		_, live, _ := w.place(p)
		_, bad := w.refused(p)
		spoke := slices.ContainsFunc(w.log[from+1:], func(n note) bool {
			return n.member == p && (n.kind == heard || n.kind == joined)
		})
		if !spoke && !live && (!bad || w.promised(p)) {
			names = append(names, p)
		}
	}
	return names
}

// entries checks that a record names every member of the cohort with what
// came of it.
func (w *twin) entries(es []round.Entry, fate verdict.Reason) {
	if len(es) != len(w.cohort()) {
		w.t.Fatalf("%d entries for a cohort of %v", len(es), w.cohort())
	}
	for k, p := range w.cohort() {
		e := es[k]
		content, live, holds := w.place(p)
		why, bad := w.refused(p)
		want := "absent"
		switch {
		case live:
			want = fate.String()
		case holds && fate == verdict.Lapsed:
			want = "lapsed"
		case holds:
			want = "lost"
		case bad:
			want = why.String()
		case w.sitsOut(p):
			want = "declined"
		}
		got := e.Verdict.String()
		if e.Verdict == verdict.Missing || e.Verdict == verdict.NotDue {
			got = "absent"
		}
		if e.Member != p || got != want || holds && e.Content != content {
			w.t.Fatalf("entry %+v, want %s %s %s", e, p, want, text(content[:]))
		}
	}
}

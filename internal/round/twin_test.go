package round_test

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// twin is the dumb second opinion on a machine: it writes down all that
// happened and answers every question by reading the whole log again. It
// keeps no state of its own but the log.
type twin struct {
	t    *rapid.T
	cfg  round.Config
	log  []note
	mark int // length before the event under way
}

// note is one line of the log.
type note struct {
	kind    noteKind
	now     int64
	member  string
	content model.Hash
	round   uint64
	attempt uint32
	reason  verdict.Reason
	names   []string // opened: the cohort; ended: who was silent
	durable bool
}

type noteKind string

const (
	joined   noteKind = "joined"
	heard    noteKind = "heard"
	opened   noteKind = "opened"
	halted   noteKind = "halted"
	accept   noteKind = "accept"
	refuse   noteKind = "refuse" // for good
	declined noteKind = "declined"
	closing  noteKind = "closing"
	ended    noteKind = "ended" // committed or abandoned, silence counts
	lapsed   noteKind = "lapsed"
	advanced noteKind = "advanced" // to the next round
	crashed  noteKind = "crashed"
	linkUp   noteKind = "up"
	linkDown noteKind = "down"
	givenUp  noteKind = "given up"
	forgiven noteKind = "forgiven"
	publishd noteKind = "published"
	cutShort noteKind = "cut short" // abandoned by an operator
	sending  noteKind = "sending"   // an upload runs
	sent     noteKind = "sent"
)

func (w *twin) note(n note) { w.log = append(w.log, n) }

// crash forgets what was in memory only.
func (w *twin) crash() {
	w.log = slices.DeleteFunc(w.log, func(n note) bool { return n.kind == heard && !n.durable })
	w.note(note{kind: crashed})
}

// undo forgets the event under way: nothing of it was saved or sent.
func (w *twin) undo() { w.log = w.log[:w.mark] }

// saved: a state on the disk holds every sign of life until now.
func (w *twin) saved(state bool) {
	for i := range w.log {
		w.log[i].durable = w.log[i].durable || state
	}
}

// last returns the last note of one of the kinds, and where.
func (w *twin) last(kinds ...noteKind) (note, int) {
	for i := len(w.log) - 1; i >= 0; i-- {
		if slices.Contains(kinds, w.log[i].kind) {
			return w.log[i], i
		}
	}
	return note{}, -1
}

func (w *twin) round() uint64 {
	r := uint64(1)
	for _, n := range w.log {
		if n.kind == advanced {
			r++
		}
	}
	return r
}

func (w *twin) attempt() uint32 {
	_, from := w.last(advanced)
	a := uint32(0)
	for _, n := range w.log[from+1:] {
		if n.kind == opened || n.kind == halted {
			a++
		}
	}
	return a
}

func (w *twin) validFrom() uint32 {
	_, from := w.last(advanced)
	v := uint32(1)
	for _, n := range w.log[from+1:] {
		if n.kind == lapsed {
			v = n.attempt + 1
		}
	}
	return v
}

func (w *twin) welcomed() []string {
	var names []string
	for _, n := range w.log {
		if n.kind == joined && !slices.Contains(names, n.member) {
			names = append(names, n.member)
		}
	}
	slices.Sort(names)
	return names
}

// saidBefore reports whether a join has the bytes of the member's last one.
func (w *twin) saidBefore(j round.Join) bool {
	last := model.Hash{}
	for _, n := range w.log {
		if n.kind == joined && n.member == j.Member {
			last = n.content
		}
	}
	return last == j.Digest
}

// cohort is that of the round's last attempt with work.
func (w *twin) cohort() []string {
	n, at := w.last(opened)
	if _, adv := w.last(advanced); at < adv {
		return nil
	}
	return n.names
}

// place says who holds the member's place in the round: the content, and
// whether this process has folded it.
func (w *twin) place(member string) (content model.Hash, live, ok bool) {
	_, from := w.last(advanced, lapsed)
	_, crash := w.last(crashed)
	for i := from + 1; i < len(w.log); i++ {
		switch n := w.log[i]; {
		case n.kind == accept && n.member == member:
			content, live, ok = n.content, i > crash, true
		case n.kind == givenUp && n.member == member:
			content, live, ok = model.Hash{}, false, false
		}
	}
	return content, live, ok
}

func (w *twin) refused(member string) (verdict.Reason, bool) {
	_, from := w.last(advanced, lapsed)
	why := verdict.None
	for _, n := range w.log[from+1:] {
		switch {
		case n.member != member:
		case n.kind == refuse:
			why = n.reason
		case n.kind == accept || n.kind == givenUp:
			why = verdict.None
		}
	}
	return why, why != verdict.None
}

// refusedFor reports whether this very content was refused for good, as the
// first of its member.
func (w *twin) refusedFor(member string, content model.Hash) bool {
	_, from := w.last(advanced, lapsed)
	var of model.Hash
	for _, n := range w.log[from+1:] {
		switch {
		case n.member != member:
		case n.kind == refuse:
			of = n.content
		case n.kind == accept || n.kind == givenUp:
			of = model.Hash{}
		}
	}
	return of == content
}

// uploads reports whether an upload of the member is under way.
func (w *twin) uploads(member string) bool {
	_, from := w.last(advanced, lapsed, crashed)
	on := false
	for _, n := range w.log[from+1:] {
		if n.member == member && (n.kind == sending || n.kind == sent) {
			on = n.kind == sending
		}
	}
	return on
}

func (w *twin) sitsOut(member string) bool {
	_, from := w.last(opened)
	return slices.ContainsFunc(w.log[from+1:], func(n note) bool { return n.kind == declined && n.member == member })
}

func (w *twin) folded() int {
	count := 0
	for _, p := range w.cohort() {
		if _, live, _ := w.place(p); live {
			count++
		}
	}
	return count
}

// eligible: welcomed and not silent twice since it was last heard, or holding
// a place.
func (w *twin) eligible() []string {
	var can []string
	for _, p := range w.welcomed() {
		silent := 0
		for _, n := range w.log {
			if n.kind == forgiven || n.member == p && (n.kind == joined || n.kind == heard) {
				silent = 0
			}
			if n.kind == ended && slices.Contains(n.names, p) {
				silent++
			}
		}
		if _, _, holds := w.place(p); holds || silent < 2 {
			can = append(can, p)
		}
	}
	return can
}

// isOpen reports whether an attempt runs.
func (w *twin) isOpen() bool {
	n, _ := w.last(opened, halted, closing, ended, cutShort, crashed)
	return n.kind == opened
}

func (w *twin) isClosing() bool {
	n, _ := w.last(opened, halted, closing, ended, cutShort, crashed)
	return n.kind == closing
}

// elapsed adds up the connected time since the order's first publish.
func (w *twin) elapsed(now int64) int64 {
	_, from := w.last(opened)
	_, boot := w.last(crashed)
	up, published, since, sum := false, false, int64(0), int64(0)
	for i := boot + 1; i < len(w.log); i++ {
		n := w.log[i]
		if up && published {
			sum += n.now - since
		}
		since = n.now
		switch {
		case n.kind == linkUp:
			up = true
		case n.kind == linkDown:
			up = false
		case n.kind == publishd && i > from:
			published = true
		}
	}
	if up && published {
		sum += now - since
	}
	return sum
}

// over says whether the attempt should have ended.
func (w *twin) over(now int64) bool {
	done, grace := 0, int64(0)
	for _, p := range w.cohort() {
		_, live, _ := w.place(p)
		if _, bad := w.refused(p); bad && !w.promised(p) || live || w.sitsOut(p) {
			done++
		} else if w.uploads(p) {
			grace = min(10_000, int64(w.cfg.DeadlineMS)/10)
		}
	}
	return w.cfg.Goal > 0 && w.folded() >= w.cfg.Goal || done == len(w.cohort()) || w.elapsed(now) >= int64(w.cfg.DeadlineMS)+grace
}

func (w *twin) promised(member string) bool {
	_, live, ok := w.place(member)
	return ok && !live
}

// answer says what an update should be answered: a verdict, settled, or
// nothing.
func (w *twin) answer(u round.Update) string {
	content, live, holds := w.place(u.Member)
	switch {
	case !slices.Contains(w.welcomed(), u.Member):
		return "unknown_member"
	case u.Round > w.round() || u.Round == w.round() && u.Attempt > w.attempt():
		return "future_round"
	case u.Round < w.round():
		return "settled"
	case live && content == u.Content:
		return "again"
	case holds && content != u.Content && u.Attempt >= w.validFrom():
		return "conflict"
	case w.isClosing():
		return ""
	case u.Attempt < w.validFrom():
		return "stale_round"
	case !slices.Contains(w.cohort(), u.Member):
		return "not_in_cohort"
	case u.Base != id(fmt.Sprintf("m%d", w.round()-1)):
		return "wrong_base"
	case u.Problem != verdict.None:
		return u.Problem.String()
	case u.Samples == 0 && w.work() == wire.WorkTrain:
		return "out_of_range"
	case u.Offer && !holds && w.refusedFor(u.Member, u.Content):
		why, _ := w.refused(u.Member)
		return why.String()
	case u.Offer:
		return "admit"
	}
	return "counted"
}

func (w *twin) work() string {
	r, train := w.round(), w.cfg.Rounds
	if w.cfg.Statistics {
		if r == 1 {
			return wire.WorkStatistics
		}
		r--
	}
	if r <= train {
		return wire.WorkTrain
	}
	if r == train+1 {
		return wire.WorkEvaluate
	}
	return wire.WorkNone
}

// String shows the log, for a failure.
func (w *twin) String() string {
	var b strings.Builder
	for _, n := range w.log {
		fmt.Fprintf(&b, "\n  %s %s %s %v %d.%d at %d %v durable=%v", n.kind, n.member, text(n.content[:]), n.names, n.round, n.attempt, n.now, n.reason, n.durable)
	}
	return b.String()
}

package owner

import (
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// Proven reports whether a refusal answers a proven sender. One for what is malformed
// does if it names an update.
func Proven(r wire.RefusalReply) bool {
	why, _ := verdict.Parse(r.Reason)
	return why.Authenticated() || why == verdict.Malformed && !r.Content.IsZero()
}

// refuse answers at most one message a second whose sender is not proven: an answer
// amplifies (security, section 2). All are counted.
func (t *Task) refuse(member string, r wire.RefusalReply) {
	why, _ := verdict.Parse(r.Reason)
	t.say(Count{Member: member, Reason: why, Detail: r.Detail})
	if t.mayAnswer() {
		t.reply(member, r)
	}
}

// asked answers a doctor, as rarely.
func (t *Task) asked(member string) {
	if t.mayAnswer() {
		t.say(AnswerDoctor{member})
	}
}

func (t *Task) mayAnswer() bool {
	if t.m.now-t.answered < answerEvery {
		return false
	}
	t.answered = t.m.now
	return true
}

// settled is the round of whose update a member was told last what became of it, and when.
type settled struct {
	round uint64
	at    int64
}

// settleOld has a member told what became of an update of an older round, once a second,
// and of one that is newer at once: where rounds are short it asks for one after the other.
func (t *Task) settleOld(m round.SendSettled) {
	if last, ok := t.settled[m.Member]; ok && m.Round <= last.round && t.m.now-last.at < answerEvery {
		return
	}
	t.settled[m.Member] = settled{m.Round, t.m.now}
	t.say(Settle(m))
}

// ask has the broker show what it holds of the own messages, unless they are on their
// way.
func (t *Task) ask() {
	if t.begun && t.pub.ask(t.m.now) {
		t.rel.ask(t.m.now)
		t.say(Ask{})
	}
}

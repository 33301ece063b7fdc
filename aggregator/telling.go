package aggregator

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/topics"
)

const (
	viewEvery = time.Second // between two publications of a task's round view
	loud      = 100         // the number of members up to which every fact is an event
)

// telling is what a task tells people: the round view, events, numbers and the
// curve on the broker, lines of the audit log and of the program's. It looks at
// the task and decides nothing.
type telling struct {
	of     told
	by     teller
	task   string
	topics topics.Owner
	log    zerolog.Logger

	last     summary         // of the last record
	remarked map[string]bool // remarks on records, logged once each
	curve    curveShown
	quiet    map[round.FactKind]int // facts of large cohorts since the last view
	counts   counts
	tally    tally
	audited  audited
	loggedMS int64

	viewDue    bool
	viewAt     int64  // when it was published, in ms
	pauseShown string // in it
}

// told is a task of which something is told.
type told interface {
	roundView(now int64) view.Round
	current() *round.State
	welcomed() int
}

// teller is the aggregator that tells it.
type teller interface {
	post(link.Message)
	nowMS() int64
	connected() bool
	live() bool            // connected, and the machines have started
	audits() func(Audited) // nil: nobody asks
	security() string
	operatorOf(kid [8]byte) string // "" for an unknown key
}

func newTelling(of told, by teller, task string, o topics.Owner, log zerolog.Logger) telling {
	return telling{of: of, by: by, task: task, topics: o, log: log, remarked: map[string]bool{}, quiet: map[round.FactKind]int{}}
}

// mayLog allows one line a second about what members send.
func (t *telling) mayLog() bool {
	now := t.by.nowMS()
	if now-t.loggedMS < 1000 {
		return false
	}
	t.loggedMS = now
	return true
}

// view publishes the round view, and what has gathered since the last one.
func (t *telling) view(now int64) {
	v := t.of.roundView(now)
	t.viewDue, t.viewAt, t.pauseShown = false, now, v.Pause
	t.auditUnheard()
	t.by.post(link.Message{Topic: t.topics.Round(), Payload: view.JSON(v), QoS: 1, Retained: true})
	if len(t.quiet) > 0 {
		t.by.post(link.Message{Topic: t.topics.Event(), Payload: view.JSON(view.Counts{
			Schema: view.EventSchema, TimestampMS: now, Event: view.EventSummary, Round: v.Round, Attempt: v.Attempt, Counts: t.quiet,
		})})
		t.quiet = map[round.FactKind]int{}
	}
}

func (t *telling) event(f round.Fact) {
	if f.Kind == round.FactCommand && t.pauseShown != t.of.current().Pause {
		t.view(t.by.nowMS()) // before the answer: who has it resumes by what is shown
	}
	t.auditFact(f)
	t.tell(f)
}

// tell publishes a fact.
func (t *telling) tell(f round.Fact) {
	if t.of.welcomed() > loud && f.Member != "" && f.Kind != round.FactCommand {
		t.quiet[f.Kind]++
		t.viewDue = true
		return
	}
	v := view.Event{
		Schema: view.EventSchema, TimestampMS: t.by.nowMS(), Event: f.Kind, Round: f.Round, Attempt: f.Attempt,
		Work: f.Work, Member: f.Member, Reason: f.Reason.String(), Detail: f.Detail, Count: f.Count,
	}
	if !f.Content.IsZero() {
		v.Content = f.Content.String()
	}
	if (f.Kind == round.FactRefused || f.Kind == round.FactDeclined) && t.mayLog() {
		t.log.Warn().Str("member", f.Member).Str("reason", v.Reason).Str("detail", f.Detail).
			Uint64("round", f.Round).Msg(string(f.Kind))
	}
	t.by.post(link.Message{Topic: t.topics.Event(), Payload: view.JSON(v)})
}

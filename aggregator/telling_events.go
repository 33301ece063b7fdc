package aggregator

import (
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/view"
)

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
	if f.Kind == round.FactCommand {
		t.log.Info().Str("id", f.Member).Str("detail", f.Detail).Uint64("round", f.Round).Msg("command answered")
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
	switch {
	case f.Kind == round.FactReleased, f.Kind == round.FactCanary: // what the lines run from now on
		t.log.Info().Str("detail", f.Detail).Uint64("round", f.Round).Msg(string(f.Kind))
	case f.Kind == round.FactContract, f.Kind == round.FactJoined && f.Detail != "":
		t.log.Info().Str("member", f.Member).Str("detail", f.Detail).Msg(string(f.Kind))
	}
	t.by.post(link.Message{Topic: t.topics.Event(), Payload: view.JSON(v)})
}

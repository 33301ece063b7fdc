package site

import (
	"fmt"

	"github.com/fedmq/fedmq/internal/member"
)

// unheardText says that nobody answers, and what may be the matter: many brokers
// acknowledge what their access list denies, and drop it (S-44). It is empty while
// nobody is there who could answer.
func (s *site) unheardText(t *task) string {
	o := s.owners[t.owner.State()]
	if t.view.Unheard == 0 || s.lost(t) || o.known && !o.Online {
		return ""
	}
	if t.m.Origin().IsZero() {
		return fmt.Sprintf("no order on %s, so there is nothing to join: the aggregator publishes it retained when it starts. If it runs, the broker's access list may keep this site "+
			"from reading it; fedmq doctor -c with this site's configuration names the missing line", t.owner.Order())
	}
	what, topic := "join", t.member.Join()
	mayBe := "this path may be none of the task's members, or "
	if t.view.Unheard == member.UnheardUpdate {
		what, topic, mayBe = "update", t.member.Update(), ""
	}
	user := s.cfg.Username
	if user == "" {
		user = "without a name"
	}
	text := fmt.Sprintf("no answer to the %s on %s", what, topic)
	return text + fmt.Sprintf(": if the aggregator runs, %sthe broker's access list may keep user %s from writing it, or from reading %s; fedmq doctor -c with this site's configuration names the missing line",
		mayBe, user, t.owner.Reply(s.cfg.Member))
}

// sayUnheard says once that nobody answers, and that somebody does again.
func (s *site) sayUnheard() {
	for _, t := range s.tasks {
		text := s.unheardText(t)
		if text == t.unheard {
			continue
		}
		t.unheard, t.changed = text, true
		if text == "" {
			s.cfg.Log.Info().Str("task", t.Name).Msg("the aggregator answers again")
			continue
		}
		topic := t.member.Join()
		if t.view.Unheard == member.UnheardUpdate {
			topic = t.member.Update()
		}
		s.cfg.Log.Warn().Str("task", t.Name).Str("topic", topic).Str("user", s.cfg.Username).Str("cure", "fedmq doctor -c with this site's configuration").
			Msg(text)
	}
}

// showChanges publishes the status of every task whose phase is new: what came
// of one event is shown once, and of much in a short time the newest.
func (s *site) showChanges() {
	s.foundAgain()
	s.sayUnheard()
	for _, t := range s.tasks {
		if t.changed && s.now() >= t.shownAt() {
			s.publishStatus(t, 1)
		}
	}
}

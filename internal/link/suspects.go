package link

import (
	"sort"
	"time"
)

// maxSuspects bounds the memory of suspects; beyond it no new ones are kept.
const maxSuspects = 1024

// recent is how long after it was written a packet may be the reason why the
// broker cut the link.
const recent = 5 * time.Second

// suspects remembers topics that were unacknowledged when the broker cut the
// link, as mochi and RabbitMQ do at a denied publish (C-16). The first loss
// marks all that were in flight; marked ones then travel alone, so a second
// loss names the culprit, and a PUBACK clears the innocent.
type suspects map[string]*suspect

type suspect struct {
	losses int
	until  time.Time // quarantined until then; zero: not quarantined
}

// alone tells whether a topic must travel alone.
func (s suspects) alone(topic string) bool { return s[topic] != nil }

func (s suspects) quarantined(topic string, now time.Time) bool {
	e := s[topic]
	return e != nil && now.Before(e.until)
}

// acquit forgets a topic that was acknowledged.
func (s suspects) acquit(topic string) { delete(s, topic) }

// blame counts a loss against a topic in flight; sole: it was the only one. It
// returns true when the topic is quarantined by it.
func (s suspects) blame(topic string, sole bool, now time.Time) bool {
	e := s[topic]
	if e == nil {
		if len(s) >= maxSuspects {
			return false
		}
		e = &suspect{}
		s[topic] = e
	}
	if !sole {
		e.losses = max(e.losses, 1)
		return false
	}
	if e.losses++; e.losses < 2 {
		return false
	}
	e.until = now.Add(quarantine(e.losses))
	return true
}

// quarantine is how long what has cost the link so many times is not sent: it
// grows, since the fault may be another's, such as a second client with our id.
func quarantine(losses int) time.Duration {
	return min(firstQuarantine<<min(losses-2, 10), QuarantineTime)
}

// list returns the quarantined topics, sorted.
func (s suspects) list(now time.Time) []string {
	var out []string
	for t := range s {
		if s.quarantined(t, now) {
			out = append(out, t)
		}
	}
	sort.Strings(out)
	return out
}

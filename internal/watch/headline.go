package watch

import (
	"fmt"
	"strings"
)

// namedInHeadline is how many members a headline names.
const namedInHeadline = 3

// Headline says in a sentence or two who blocks a task, since when, and what to
// do. The dashboard's headline.js says the same; testdata/headlines.json holds
// both against one table.
func Headline(link LinkView, owner OwnerView, t TaskView, now int64) string {
	switch {
	case !link.Up:
		return "Not connected to the broker" + lasting(link.SinceMS, now) + because(link.Reason) + ". Shown is what was last heard."
	case t.Phase == "":
		return "Nothing has been heard of " + t.Name + " yet."
	case t.Reason == "finished":
		s := fmt.Sprintf("Finished after %s: the model is version %d", plural(int(t.Round)-1, "round"), t.Version)
		if b := t.Best; b != nil {
			s += fmt.Sprintf(", the best is version %d by %s", b.Version, b.Metric)
		}
		return s + "."
	case owner.Known && !owner.Online:
		return "The aggregator is offline" + lasting(owner.SinceMS, now) + ". Start it: nothing goes on without it, and what sites have finished is kept."
	case t.Waiting == nil && t.Phase != "open":
		return ""
	}
	out := fmt.Sprintf("Round %d is open.", t.Round) // as its event said; who is waited for follows
	if t.Waiting != nil {
		out = t.Waiting.sentence(t, now)
	}
	if a := t.Abandoned; a != nil && (t.Phase == "open" || t.Phase == "waiting") {
		out += fmt.Sprintf(" Attempt %d was given up (%s): %d of %d accepted, and kept.", a.Attempt, a.Reason, a.Kept, a.Members)
	}
	if len(t.Away) > 0 && (t.Waiting == nil || t.Waiting.Why != "sites") {
		out += " Not asked: " + people(t.Away, 0, now) + "."
	}
	return out
}

func (w *WaitView) sentence(t TaskView, now int64) string {
	switch w.Why {
	case "sites":
		return w.sites(now)
	case "updates", "again":
		return w.delivery(t, now)
	case "store":
		return fmt.Sprintf("Averaging and storing round %d.", t.Round)
	case "time":
		s := "The next round of statistics begins"
		if left := w.UntilMS - now; left > 0 {
			return s + " in " + Span(left) + "."
		}
		return s + " at once."
	case "backoff":
		s := "Attempts in a row came to nothing. The next begins"
		if left := w.UntilMS - now; left > 0 {
			s += " in " + Span(left)
		} else {
			s += " at once"
		}
		if len(w.Members) > 0 {
			s += ". Missing: " + people(w.Members, w.More, now) + ". See their status and logs"
		}
		return s + "."
	case "paused":
		return fmt.Sprintf("Paused%s, before round %d. Resume goes on.", lasting(w.SinceMS, now), t.Round)
	case "stopped":
		return "Stopped" + lasting(w.SinceMS, now) + because(t.Reason) + ". Start goes on, once that is mended."
	}
	return ""
}

func (w *WaitView) sites(now int64) string {
	n := max(w.Want-w.Here, 1)
	s := "Waiting for " + plural(n, "more site")
	dated := false
	for _, m := range w.Members {
		dated = dated || m.SinceMS > 0
	}
	if !dated {
		s += lasting(w.SinceMS, now)
	}
	s += fmt.Sprintf(": %d of %d here.", w.Here, w.Want)
	if len(w.Members) > 0 {
		s += " Missing: " + people(w.Members, w.More, now) + "."
	}
	who := "them"
	switch {
	case n == 1 && len(w.Members) > 1:
		who = "one of them"
	case n == 1:
		who = "it"
	}
	if w.Do == "start_or_begin_without" {
		return s + " Start " + who + ", or send start to begin without."
	}
	return s + " Start " + who + ", or lower quorum."
}

// Updates tells whether the task waits for updates.
func (w *WaitView) Updates() bool { return w.Why == "updates" || w.Why == "again" }

func (w *WaitView) delivery(t TaskView, now int64) string {
	n := len(w.Members) + w.More
	if n == 0 {
		return fmt.Sprintf("Round %d: all has been said, it closes.", t.Round)
	}
	since := lasting(w.SinceMS, now)
	if w.Why == "again" {
		since = ", again since the broker or the aggregator came back " + Span(now-w.SinceMS) + " ago"
	}
	s := fmt.Sprintf("Waiting for %d of %s%s: %s.", n, plural(t.Cohort, "site"), since, people(w.Members, w.More, now))
	when := "at once"
	if left := t.DeadlineMS - now; left > 0 {
		when = "in " + Span(left)
	}
	if t.DeadlineMS == 0 {
		when = "at the deadline"
	}
	if need := w.Want - w.Here; need > 0 {
		return s + fmt.Sprintf(" %d more must come, or the attempt is given up %s.", need, when)
	}
	return s + " The round goes on without " + map[bool]string{true: "it", false: "them"}[n == 1] + " " + when + "."
}

// people lists members with what is known of each.
func people(list []WhoView, more int, now int64) string {
	var out []string
	for _, m := range list[:min(len(list), namedInHeadline)] {
		s := m.Path
		if m.Why != "" {
			s += ", " + m.Why + lasting(m.SinceMS, now)
		}
		out = append(out, s)
	}
	s := strings.Join(out, "; ")
	if rest := len(list) - len(out) + more; rest > 0 {
		s += fmt.Sprintf("; and %d more", rest)
	}
	return s
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func lasting(since, now int64) string {
	if since <= 0 {
		return ""
	}
	return " for " + Span(now-since)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Span is a duration in milliseconds, by its two largest units at most.
func Span(ms int64) string {
	s := (max(ms, 0) + 500) / 1000
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600 && s%60 == 0:
		return fmt.Sprintf("%d min", s/60)
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%d h %d min", s/3600, s%3600/60)
	}
	return fmt.Sprintf("%d d", s/86400)
}

package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fedmq/fedmq/internal/watch"
)

// lines turns views into one line a fact.
type lines struct {
	seq    uint64
	link   string
	owner  string
	rounds map[string]string // task -> what was said of its round
	sites  map[string]string // task and path -> standing and reason
	uses   map[string]string // task and path -> the version that a consumer runs
	told   map[string]bool   // records, by their text
	still  *standstills
}

func newLines() *lines {
	return &lines{rounds: map[string]string{}, sites: map[string]string{}, uses: map[string]string{}, told: map[string]bool{}, still: newStandstills()}
}

// take returns what is new in a view.
func (l *lines) take(v watch.View, at time.Time) (out []string) {
	say := func(format string, args ...any) {
		out = append(out, at.UTC().Format(time.RFC3339)+" "+fmt.Sprintf(format, args...))
	}
	l.seq = v.Seq
	l.still.take(v)
	link := "broker down"
	if v.Link.Up {
		link = "broker up"
	}
	if v.Link.Reason != "" {
		link += ": " + v.Link.Reason
	}
	if v.Link.SinceMS > 0 && link != l.link {
		l.link = link
		say("%s", link)
	}
	if owner := presence(v.Owner); v.Owner.Known && owner != l.owner {
		l.owner = owner
		say("aggregator %s", owner)
	}
	for _, t := range v.Tasks {
		for _, e := range t.Events {
			say("%s event %s", t.Name, eventText(e))
		}
		for _, r := range t.Rounds {
			if s := recordText(r); r.Hash != "" && !l.told[t.Name+s] {
				l.told[t.Name+s] = true
				say("%s record %s", t.Name, s)
			}
		}
		if s := roundText(t); s != "" && s != l.rounds[t.Name] {
			l.rounds[t.Name] = s
			say("%s %s", t.Name, s)
		}
	}
	for _, s := range v.Sites {
		key, text := s.Task+" "+s.Path, string(s.Standing)+" "+s.Why
		if l.sites[key] != text {
			l.sites[key] = text
			say("%s site %s %s", s.Task, s.Path, text)
		}
	}
	for _, c := range v.Consumers {
		key, text := c.Task+" "+c.Path, "runs "+runsText(c)
		if c.From != "" {
			text += " from " + c.From
		}
		if _, why := usesWhy(c, sinceTime); why != "" {
			text += "; " + why
		}
		if l.uses[key] != text {
			l.uses[key] = text
			say("%s consumer %s %s", c.Task, c.Path, text)
		}
	}
	if len(l.told) > 4*watch.MaxRounds { // only to print none twice
		clear(l.told)
	}
	return out
}

// stands returns why tasks stand that have stood for a while.
func (l *lines) stands(at time.Time) (out []string) {
	for _, s := range l.still.say(at) {
		out = append(out, at.UTC().Format(time.RFC3339)+" "+s[0]+" stands: "+s[1])
	}
	return out
}

// sinceTime names a moment in a line, which stays.
func sinceTime(ms int64) string { return "since " + time.UnixMilli(ms).UTC().Format(time.RFC3339) }

func presence(o watch.OwnerView) string {
	switch {
	case !o.Known:
		return "unknown"
	case o.Online:
		return "online"
	}
	return "offline"
}

func roundText(t watch.TaskView) string {
	if t.Phase == "" {
		return ""
	}
	s := fmt.Sprintf("round %d attempt %d %s", t.Round, t.Attempt, t.Phase)
	if t.Work != "" && t.Work != "none" {
		s += " " + t.Work
	}
	if t.Reason != "" {
		s += ": " + t.Reason
	}
	return s
}

func recordText(r watch.RoundView) string {
	s := fmt.Sprintf("round=%d attempt=%d work=%s verdict=%s counted=%d/%d", r.Round, r.Attempt, r.Work, r.Verdict, r.Counted, r.Members)
	if r.Kept > 0 {
		s += fmt.Sprintf(" kept=%d", r.Kept)
	}
	if r.Staleness > 0 {
		s += fmt.Sprintf(" staleness=%d", r.Staleness)
	}
	return s + fmt.Sprintf(" chain=%s sig=%s head=%s", r.Chain, r.Sig, r.Hash)
}

// oneWord is a name as one word of a line.
func oneWord(name string) string {
	if strings.ContainsAny(name, " \"='") {
		return strconv.Quote(name)
	}
	return name
}

func eventText(e watch.EventView) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s round=%d attempt=%d", e.Kind, e.Round, e.Attempt)
	if e.Member != "" && e.Kind != "command" {
		b.WriteString(" member=" + oneWord(e.Member))
	}
	if e.Count != 0 {
		fmt.Fprintf(&b, " count=%d", e.Count)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Counts)) {
		fmt.Fprintf(&b, " %s=%d", strings.ReplaceAll(name, " ", "_"), e.Counts[name])
	}
	if e.Reason != "" {
		b.WriteString(" reason=" + e.Reason)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}

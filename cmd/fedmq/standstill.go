package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fedmq/fedmq/internal/watch"
)

// How long a task waits for the same before that is said: sites may take their
// time with an update.
const (
	standsAfter  = 10 * time.Second
	updatesAfter = 30 * time.Second
)

// standstills say of tasks that stand who blocks, since when, and what to do:
// once for each standstill.
type standstills struct {
	view  watch.View // the last one; its tasks are below
	tasks map[string]watch.TaskView
	stand map[string]standstill
}

type standstill struct {
	what  string // the same text is the same standstill
	since time.Time
	said  bool
}

func newStandstills() *standstills {
	return &standstills{tasks: map[string]watch.TaskView{}, stand: map[string]standstill{}}
}

// take follows what changes.
func (s *standstills) take(v watch.View) {
	if v.Full {
		clear(s.tasks)
	}
	for _, t := range v.Tasks {
		s.tasks[t.Name] = t
	}
	s.view = v
}

// say returns a task and its sentence for each new standstill.
func (s *standstills) say(now time.Time) (out [][2]string) {
	for _, name := range slices.Sorted(maps.Keys(s.tasks)) {
		t := s.tasks[name]
		what, after := s.what(t)
		st := s.stand[name]
		if st.what != what {
			st = standstill{what: what, since: now}
		}
		if what != "" && !st.said && now.Sub(st.since) >= after {
			st.said = true
			out = append(out, [2]string{name, watch.Headline(s.view.Link, s.view.Owner, t, now.UnixMilli())})
		}
		s.stand[name] = st
	}
	return out
}

// what names a standstill, "" if the task has ended or says nothing of itself,
// and how long it may last unsaid.
func (s *standstills) what(t watch.TaskView) (string, time.Duration) {
	switch {
	case !s.view.Link.Up:
		return "broker", standsAfter
	case t.Reason == "finished":
		return "", 0
	case s.view.Owner.Known && !s.view.Owner.Online:
		return "aggregator", standsAfter
	case t.Waiting == nil || t.Waiting.Why == "store":
		return "", 0
	}
	names := make([]string, 0, len(t.Waiting.Members))
	for _, m := range t.Waiting.Members {
		names = append(names, m.Path)
	}
	after := standsAfter
	if t.Waiting.Updates() {
		after = updatesAfter
	}
	return fmt.Sprint(t.Round, t.Attempt, t.Waiting.Why, t.Waiting.Here, strings.Join(names, " ")), after
}

package watch

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
)

// fixture is a federation with a clock of its own.
type fixture struct {
	*Federation
	t  *testing.T
	at int64
}

func newFixture(t *testing.T, keys record.Keys) *fixture {
	t.Helper()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{Federation: New(Config{Namespace: ns, Keys: keys}), t: t, at: 1_000_000_000}
}

// say applies a message: an object, or bytes as they are.
func (f *fixture) say(topic string, v any) error {
	b, ok := v.([]byte)
	if !ok {
		var err error
		if b, err = json.Marshal(v); err != nil {
			f.t.Fatal(err)
		}
	}
	return f.Apply(Message{Topic: topic, Payload: b, Live: true}, f.at)
}

// must is say where nothing may be ignored.
func (f *fixture) must(topic string, v any) {
	f.t.Helper()
	if err := f.say(topic, v); err != nil {
		f.t.Fatalf("%s: %v", topic, err)
	}
}

type object map[string]any

const own = "acme/_fl_v1/"

// open opens a round with a deadline of 100 s.
func (f *fixture) open(round, accepted, cohort int) {
	f.t.Helper()
	f.must(own+"q/round", object{
		"schema": "fedmq.round.v1", "timestamp_ms": f.at, "round": round, "attempt": 1, "phase": "open", "work": "train",
		"members": cohort, "cohort": cohort, "accepted": accepted, "quorum": 2, "opened_ms": f.at, "deadline_ms": 100_000,
		"waiting_for": []string{"a/x"},
	})
}

func (f *fixture) status(site string, round int, phase, message, failure string) {
	f.t.Helper()
	f.must("acme/"+site+"/_fl_v1/q/status", object{
		"schema": "fedmq.status.v1", "timestamp_ms": f.at, "phase": phase, "round": round, "attempt": 1, "samples": 7,
		"message": message, "error": failure,
	})
}

func (f *fixture) event(kind, member string, round int, more object) {
	f.t.Helper()
	o := object{"schema": "fedmq.event.v1", "timestamp_ms": f.at, "event": kind, "member": member, "round": round, "attempt": 1}
	for k, v := range more {
		o[k] = v
	}
	f.must(own+"q/event", o)
}

// site returns a row.
func (f *fixture) row(path string) SiteView {
	f.t.Helper()
	v, _ := f.Since(0)
	for _, s := range v.Sites {
		if s.Path == path {
			return s
		}
	}
	f.t.Fatalf("no site %s", path)
	return SiteView{}
}

func (f *fixture) later(seconds int64) {
	f.at += 1000 * seconds
	f.Tick(f.at)
}

// stand checks a row's standing and reason.
func (f *fixture) stand(path string, want Standing, why string) {
	f.t.Helper()
	if s := f.row(path); s.Standing != want || s.Why != why {
		f.t.Errorf("%s: %s, %q; want %s, %q", path, s.Standing, s.Why, want, why)
	}
}

func path(i int) string { return fmt.Sprintf("p-%d/line-%d", i%10, i) }

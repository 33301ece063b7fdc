package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/fedmq/fedmq/internal/watch"
)

// The screen says which version runs where: on consumers, those that could not take one
// first, and where a canary is.
func TestScreenOfConsumers(t *testing.T) {
	t.Parallel()
	f := told(t, 3)
	const at = 1_800_000_000_000
	say := func(topic string, v map[string]any) {
		t.Helper()
		b, err := json.Marshal(v)
		check(t, err)
		check(t, f.Apply(watch.Message{Topic: topic, Payload: b, Live: true}, at))
	}
	say("acme/_fl_v1/quality/round", map[string]any{
		"schema": "fedmq.round.v1", "timestamp_ms": at, "round": 8, "attempt": 1, "phase": "open", "work": "train", "version": 7,
		"released": map[string]any{"version": 4}, "canary": map[string]any{"version": 6, "to": []string{"berlin/#"}, "held": true},
	})
	for path, v := range map[string]map[string]any{
		"berlin/gw": {"version": 6, "from": "canary"},
		"munich/gw": {"version": 4, "from": "released", "failed": map[string]any{"version": 6, "why": "exit status 7", "times": 2}},
		"paris/gw":  {"version": 3, "from": "released", "tries": map[string]any{"version": 4, "since_ms": at - 90_000}},
		"rome/gw":   {"tries": map[string]any{"version": 4, "since_ms": at - 2_000}, "failed": map[string]any{"version": 4, "why": "exit status 1", "times": 3}},
	} {
		say("acme/"+path+"/_fl_v1/state", map[string]any{"schema": "fedmq.state.v1", "online": true, "roles": []string{"consumer"}, "tasks": []string{"quality"}})
		v["schema"], v["timestamp_ms"] = "fedmq.consumer.v1", at
		say("acme/"+path+"/_fl_v1/quality/status", v)
	}
	m := newScreen(f.Since, nil)
	next, _ := m.Update(tickMsg{})
	next, _ = next.Update(tea.WindowSizeMsg{Width: 110, Height: 24})
	m = next.(screen)
	plain := ansi.Strip(m.draw())
	for _, want := range []string{
		"released v4, v6 on berlin/# has held", "3 of 3 sites", "CONSUMER",
		"munich/gw       v4  released      0s  cannot take v6, tried 2 times: exit status 7\n",
		"rome/gw       none                0s  its command for v4 runs for 2s, failed 3 times: exit status 1\nberlin/gw       v6  canary",
		"paris/gw        v3  released      0s  its command for v4 runs for 1m30s",
	} {
		if !strings.Contains(plain, want) {
			t.Errorf("no %q in\n%s", want, plain)
		}
	}
	v, _ := f.Since(0)
	said := strings.Join(newLines().take(v, time.UnixMilli(at)), "\n")
	for _, want := range []string{
		"paris/gw runs v3 from released; its command for v4 runs since 2027-01-15T07:58:30Z",
		"rome/gw runs none; its command for v4 runs since 2027-01-15T07:59:58Z, failed 3 times: exit status 1",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
}

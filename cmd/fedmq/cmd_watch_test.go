package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/fedmq/fedmq/internal/watch"
	"github.com/fedmq/fedmq/topics"
)

// told is a federation that has been told this and that.
func told(t *testing.T, sites int) *watch.Federation {
	t.Helper()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	f := watch.New(watch.Config{Namespace: ns})
	const at = 1_800_000_000_000
	say := func(topic string, v map[string]any) {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Apply(watch.Message{Topic: topic, Payload: b, Live: true}, at); err != nil {
			t.Fatal(topic, err)
		}
	}
	f.Link(true, "", at)
	say("acme/_fl_v1/state", map[string]any{"schema": "fedmq.state.v1", "online": true, "tasks": []string{"quality", "wear"}})
	for r := range 8 {
		say("acme/_fl_v1/quality/round", map[string]any{
			"schema": "fedmq.round.v1", "timestamp_ms": at, "round": r + 1, "attempt": 1, "phase": "open", "work": "train", "train_rounds": 20,
			"version": r, "cohort": 3, "accepted": 1, "quorum": 2, "opened_ms": at, "deadline_ms": 60_000,
			"last": map[string]any{"round": r, "attempt": 1, "work": "train", "verdict": "committed", "counted": 3, "members": 3, "seconds": 2, "metrics": map[string]float64{"rmse": float64(30 - 3*r)}},
		})
	}
	for i := range sites {
		st := map[string]any{"schema": "fedmq.status.v1", "timestamp_ms": at, "phase": "training", "message": "train", "round": 8, "progress": .5}
		if i == 1 {
			st["phase"], st["error"] = "error", "no rows\x1b[31m since yesterday"
		}
		say(fmt.Sprintf("acme/plant-%02d/press/_fl_v1/quality/status", i), st)
	}
	return f
}

func press(t *testing.T, m screen, keys ...string) screen {
	t.Helper()
	for _, k := range keys {
		msg := tea.KeyPressMsg{Text: k, Code: []rune(k)[0]}
		switch k {
		case "esc":
			msg = tea.KeyPressMsg{Code: tea.KeyEscape}
		case "enter":
			msg = tea.KeyPressMsg{Code: tea.KeyEnter}
		case "end":
			msg = tea.KeyPressMsg{Code: tea.KeyEnd}
		case "tab":
			msg = tea.KeyPressMsg{Code: tea.KeyTab}
		}
		next, cmd := m.Update(msg)
		m = next.(screen)
		if cmd != nil {
			if a, ok := cmd().(answerMsg); ok {
				next, _ = m.Update(a)
				m = next.(screen)
			}
		}
	}
	return m
}

func TestScreen(t *testing.T) {
	t.Parallel()
	f := told(t, 40)
	var sent []string
	m := newScreen(f.Since, func(task, op string) (string, error) {
		sent = append(sent, task+" "+op)
		if op == "resume" {
			return "", errors.New("refused, not paused")
		}
		return op + ": done", nil
	})
	next, _ := m.Update(tickMsg{})
	next, _ = next.Update(tea.WindowSizeMsg{Width: 90, Height: 20})
	m = next.(screen)
	has := func(what string, parts ...string) {
		t.Helper()
		drawn := m.draw()
		plain := ansi.Strip(drawn)
		for _, p := range parts {
			if !strings.Contains(plain, p) {
				t.Errorf("%s: no %q in\n%s", what, p, plain)
			}
		}
		rows := strings.Split(plain, "\n")
		if len(rows) != 20 {
			t.Errorf("%s: %d rows, want 20", what, len(rows))
		}
		for _, r := range rows {
			if ansi.StringWidth(r) > 90 {
				t.Errorf("%s: a row of %d cells: %s", what, ansi.StringWidth(r), r)
			}
		}
		if strings.Contains(drawn, "\x1b[31m since") {
			t.Errorf("%s: a site colours the terminal", what)
		}
	}
	has("whole", "fedmq acme · quality (2 tasks, tab) · broker up · aggregator online",
		"Round 8 of 20 · open, train · 1m0s left · model v7", "1 of 3 in, quorum 2", "rmse      █▇▆▅▄▃▂▁ 9", "40 of 40 sites",
		"plant-01/press  ! failed  50 %      8      0s  no rows [31m since yesterday")
	m = press(t, m, "end")
	has("end", "plant-39/press")
	m = press(t, m, "/", "p", "l", "a", "n", "t", "-", "3", "7", "enter")
	has("filtered", "1 of 40 sites", "filter: plant-37")
	m = press(t, m, "/", "esc", "p", "n")
	has("not sure", "40 of 40 sites")
	m = press(t, m, "p")
	has("asked", "pause quality? y or n")
	m = press(t, m, "y")
	has("paused", "pause: done")
	m = press(t, m, "r", "y")
	has("refused", "resume: refused, not paused")
	m = press(t, m, "tab")
	has("next task", "acme · wear")
	if got := strings.Join(sent, ", "); got != "quality pause, quality resume" {
		t.Errorf("sent %s", got)
	}
}

// The program as a whole draws, and ends at q.
func TestScreenRuns(t *testing.T) {
	t.Parallel()
	f := told(t, 3)
	in, keys := io.Pipe()
	out := &seenWriter{want: "plant-02/press", seen: make(chan struct{})}
	p := tea.NewProgram(newScreen(f.Since, nil), tea.WithInput(in), tea.WithOutput(out), tea.WithContext(t.Context()),
		tea.WithWindowSize(90, 20), tea.WithEnvironment([]string{"TERM=xterm-256color"}), tea.WithoutSignalHandler())
	ended := make(chan error, 1)
	go func() {
		_, err := p.Run()
		ended <- err
	}()
	<-out.seen
	if _, err := keys.Write([]byte("q")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// seenWriter tells when a text has been written.
type seenWriter struct {
	buf  bytes.Buffer
	want string
	seen chan struct{}
	done bool
}

func (w *seenWriter) Write(b []byte) (int, error) {
	n, err := w.buf.Write(b)
	if !w.done && strings.Contains(ansi.Strip(w.buf.String()), w.want) {
		w.done = true
		close(w.seen)
	}
	return n, err
}

func TestLines(t *testing.T) {
	t.Parallel()
	f := told(t, 2)
	l := newLines()
	v, _ := f.Since(0)
	got := l.take(v, time.UnixMilli(1_800_000_000_000))
	want := []string{
		"2027-01-15T08:00:00Z broker up",
		"2027-01-15T08:00:00Z aggregator online",
		"2027-01-15T08:00:00Z quality round 8 attempt 1 open train",
		"2027-01-15T08:00:00Z quality site plant-00/press busy training",
		"2027-01-15T08:00:00Z quality site plant-01/press failed no rows [31m since yesterday",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if again := l.take(v, time.Now()); len(again) != 0 {
		t.Errorf("said twice: %q", again)
	}
}

func TestSparkline(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		v     []float64
		width int
		want  string
	}{
		{"up", []float64{0, 1, 2, 3, 4, 5, 6, 7}, 20, "▁▂▃▄▅▆▇█"},
		{"flat", []float64{3, 3}, 20, "▅▅"},
		{"the newest", []float64{9, 0, 1}, 2, "▁█"},
		{"huge", []float64{-1e308, 1e308}, 20, "▁█"},
		{"no room", []float64{1, 2}, -5, "▅"},
	} {
		if got := sparkline(c.v, c.width); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if !regexp.MustCompile(`^█{15}░{15}$`).MatchString(meter(.5, 30)) {
		t.Error(meter(.5, 30))
	}
}

// A task that stands says so once, when it has stood for a while, and again
// when it waits for something else.
func TestStandstills(t *testing.T) {
	t.Parallel()
	ms := int64(1_800_000_000_000)
	waiting := func(why string, here int, members ...string) watch.View {
		w := &watch.WaitView{Why: why, Here: here, Want: 2, SinceMS: ms}
		for _, m := range members {
			w.Members = append(w.Members, watch.WhoView{Path: m})
		}
		return watch.View{Link: watch.LinkView{Up: true}, Tasks: []watch.TaskView{{Name: "wear", Phase: "idle", Round: 1, Waiting: w}}}
	}
	s := newStandstills()
	at := func(seconds int) time.Time { return time.UnixMilli(ms).Add(time.Duration(seconds) * time.Second) }
	for _, c := range []struct {
		seconds int
		view    watch.View
		want    string
	}{
		{0, waiting("sites", 0), "[]"},
		{9, waiting("sites", 0), "[]"},
		{10, waiting("sites", 0), "[[wear Waiting for 2 more sites for 10 s: 0 of 2 here. Start them, or lower quorum.]]"},
		{60, waiting("sites", 0), "[]"},
		{61, waiting("sites", 1), "[]"},
		{71, waiting("sites", 1), "[[wear Waiting for 1 more site for 1 min 11 s: 1 of 2 here. Start it, or lower quorum.]]"},
		{72, waiting("updates", 1, "a"), "[]"},
		{101, waiting("updates", 1, "a"), "[]"},
		{102, waiting("updates", 1, "a"), "[[wear Waiting for 1 of 0 sites for 1 min 42 s: a. 1 more must come, or the attempt is given up at the deadline.]]"},
		{200, waiting("store", 2), "[]"},
		{300, waiting("store", 2), "[]"},
		{301, watch.View{}, "[]"},
		{311, watch.View{}, "[[wear Not connected to the broker. Shown is what was last heard.]]"},
	} {
		s.take(c.view)
		if got := fmt.Sprint(s.say(at(c.seconds))); got != c.want {
			t.Errorf("after %d s: %s\nwant %s", c.seconds, got, c.want)
		}
	}
}

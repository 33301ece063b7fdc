package virtual

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/site"
)

// sink keeps log lines.
type sink struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// lines are those at info that contain a text.
func (s *sink) lines(text string) []string { return s.at("info", text) }

// at are the lines of a level that contain a text.
func (s *sink) at(level, text string) (list []string) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for l := range strings.Lines(s.b.String()) {
		if strings.Contains(l, `"level":"`+level+`"`) && strings.Contains(l, text) {
			list = append(list, l)
		}
	}
	return list
}

const notHeard = "no aggregator is heard for this task"

// seeker starts a site whose task is nowhere, and returns what it says.
func (w *world) seeker(namespace, member, task string) *sink {
	log := &sink{}
	w.tune = func(cfg *site.Config) {
		cfg.Namespace, cfg.Log = namespace, zerolog.New(log)
		cfg.Tasks[0].Name = task
	}
	w.join(member, walker{})
	w.tune = nil
	return log
}

// A site whose namespace or task is written wrong says after 10 s, and every
// minute again, what it looks for, and what there is instead: in its log and on
// its status, and takes it back when somebody is there.
func TestNobodyIsThere(t *testing.T) {
	for _, c := range []struct{ name, namespace, task, where, instead string }{
		{"another case", "Acme", taskName, "no aggregator at Acme", "acme has quality"},
		{"another task", namespace, "qualitty", "the aggregator at acme has no task qualitty", "acme has quality"},
		{"deeper", "umh/v1/acme", taskName, "no aggregator at umh/v1/acme", "acme has quality"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				w.aggregate(w.task())
				time.Sleep(time.Second)
				log := w.seeker(c.namespace, "a/line-9", c.task)
				time.Sleep(9 * time.Second)
				if n := len(log.lines(notHeard)); n != 0 {
					t.Errorf("%d lines before 10 s", n)
				}
				time.Sleep(5 * time.Second)
				lines := log.lines(notHeard)
				if len(lines) == 0 || !strings.Contains(lines[len(lines)-1], `"instead":"`+c.instead+`"`) {
					t.Errorf("after 14 s: %q", lines)
				}
				before := len(lines)
				time.Sleep(10 * time.Minute)
				if n := len(log.lines(notHeard)) - before; n != 10 {
					t.Errorf("%d lines in 10 minutes, want 10", n)
				}
				status := c.namespace + "/a/line-9/_fl_v1/" + c.task + "/status"
				if got := w.statusError(status); !strings.HasPrefix(got, c.where) || !strings.HasSuffix(got, c.instead) {
					t.Errorf("status says %q", got)
				}
			})
		})
	}
}

func (w *world) statusError(topic string) string {
	w.t.Helper()
	var s site.Status
	check(w.t, json.Unmarshal(w.retained(topic), &s))
	return s.Error
}

// Where the broker does not let it look it says only what it looks for.
func TestLookingIsDenied(t *testing.T) {
	inBubble(t, func(w *world) {
		w.aggregate(w.task())
		log := &sink{}
		w.tune = func(cfg *site.Config) {
			cfg.Namespace, cfg.Log = "Acme", zerolog.New(log)
			dial, first := cfg.Dial, true
			cfg.Dial = func(ctx context.Context) (net.Conn, error) {
				if !first {
					return nil, errors.New("one connection a user")
				}
				first = false
				return dial(ctx)
			}
		}
		w.join("a/line-9", walker{})
		time.Sleep(2 * time.Minute)
		if lines := log.lines(notHeard); len(lines) != 2 || strings.Contains(strings.Join(lines, ""), "instead") {
			t.Errorf("says %q", lines)
		}
	})
}

// Without anybody to name it says only what it looks for; it looks again every
// hour, and is silent once the aggregator is there.
func TestSomebodyComesLater(t *testing.T) {
	inBubble(t, func(w *world) {
		log := w.seeker(namespace, three[0], taskName)
		alone := brief(3 * time.Hour)
		time.Sleep(alone)
		lines, minutes := log.lines(notHeard), int(alone/time.Minute)
		if n := len(lines); n < minutes-5 || n > minutes+1 || strings.Contains(strings.Join(lines, ""), "instead") {
			t.Errorf("%d lines in %s, the first %q", n, alone, lines[0])
		}
		task := w.task()
		task.Quorum, task.StartWhen = 1, 1
		w.aggregate(task)
		w.finished(5 * time.Minute)
		if more := len(log.lines(notHeard)) - len(lines); more > 1 {
			t.Errorf("%d lines more", more)
		}
		if len(log.lines("is heard")) == 0 {
			t.Error("that it is heard is said nowhere")
		}
		if got := w.statusError(memberTopic(three[0], "status")); got != "" {
			t.Errorf("status still says %q", got)
		}
	})
}

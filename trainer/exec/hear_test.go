package exec

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
)

// Text on standard output is log; a message behind text is found, and that is
// said once.
func TestHear(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger := zerolog.New(&log)
	e := ear{talk: newTalk(logger), glued: new(atomic.Bool)}
	for _, line := range []string{
		"loading data", `{"loss":0.3}`, "  ", strings.Repeat("x", 10_000), "\xff\xfe",
		`Epoch 1 {"type":"progress","id":1,"done":1,"total":2}`,
		`Epoch 2 {"type":"progress","id":1,"done":2,"total":2}`, `{"type":"done","id":1}`,
	} {
		h, ok := e.hear([]byte(line), nil)
		if message := strings.Contains(line, `"type"`); ok != message || h.err != nil {
			t.Errorf("%.40q: message %v, %v", line, ok, h.err)
		}
	}
	for text, times := range map[string]int{`"loading data"`: 1, `{\"loss\":0.3}`: 1, "Epoch 1": 1, "Epoch 2": 1, "had no line feed": 1, "type": 0} {
		if n := strings.Count(log.String(), text); n != times {
			t.Errorf("%q is in the log %d times, want %d", text, n, times)
		}
	}
	if h, ok := e.hear([]byte(`{"type":"error","message":"xx`), []byte("xx")); !ok || h.err == nil || !strings.Contains(h.err.Error(), "a message longer than 1048576 bytes") {
		t.Errorf("a message that was cut: %v, %v", ok, h.err)
	}
	if log.Len() > 4_000 {
		t.Errorf("%d bytes of log", log.Len())
	}
}

// A message is found behind any text that has no line feed, and a JSON value of
// the program's own is text.
func TestMessageIn(t *testing.T) {
	t.Parallel()
	const done = `{"type":"done","id":1}`
	braces := strings.Repeat(`{"a":1} `, 100)
	for line, message := range map[string]string{
		braces + done:                        done,
		"[" + braces + "] " + `{"type": "do`: "",
		`{"a":{"type":"done"}}`:              "",
		`[{"type":"hello"}]`:                 "",
		`{"type":"log"} ` + done:             done,
		"\r 10%|#  |\r 20%|##" + done:        done,
		`bar {"id":1,"type":"done"}`:         `{"id":1,"type":"done"}`,
		`bar {"type":"done","id":`:           `{"type":"done","id":`,
		`{"type":"done","id":`:               `{"type":"done","id":`,
		`{done} {"type": done}`:              "",
		"  " + done + "\r":                   "  " + done + "\r",
	} {
		if _, got := messageIn([]byte(line)); string(got) != message {
			t.Errorf("%.60q: message %q, want %q", line, got, message)
		}
	}
}

// A text that is longer than a message may be is no message, and may end with one.
func TestHearLongText(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := &process{cfg: Config{glued: new(atomic.Bool)}, talk: newTalk(zerolog.New(&log)), lines: make(chan heard, 1), deaf: make(chan struct{})}
	p.read(strings.NewReader(strings.Repeat("#", 3*maxLine) + `{"type":"done","id":7}` + "\n"))
	if h, open := <-p.lines; !open || h.err != nil || h.reply.id != 7 {
		t.Errorf("%+v, %v", h, open)
	}
	if log.Len() > 2*maxLogLine {
		t.Errorf("%d bytes of log", log.Len())
	}
}

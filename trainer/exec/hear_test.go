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
		h, ok := e.hear([]byte(line), false)
		if message := strings.Contains(line, `"type"`); ok != message || h.err != nil {
			t.Errorf("%.40q: message %v, %v", line, ok, h.err)
		}
	}
	for text, times := range map[string]int{`"loading data"`: 1, `{\"loss\":0.3}`: 1, "Epoch 1 ": 1, "Epoch 2 ": 1, "had no line feed": 1, "type": 0} {
		if n := strings.Count(log.String(), text); n != times {
			t.Errorf("%q is in the log %d times, want %d", text, n, times)
		}
	}
	if h, ok := e.hear([]byte(`{"type":"error","message":"xx`), true); !ok || h.err == nil || !strings.Contains(h.err.Error(), "a message longer than 262144 bytes") {
		t.Errorf("a message that was cut: %v, %v", ok, h.err)
	}
	if log.Len() > 4_000 {
		t.Errorf("%d bytes of log", log.Len())
	}
}

package exec

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// readLine returns the next line without its end. Of one that is longer than
// limit it returns two parts of limit bytes, its head and its tail; else tail is
// nil.
func readLine(r *bufio.Reader, limit int) (head, tail []byte, err error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if line = append(line, part...); len(line) > 4*limit { // what is between head and tail
			line = append(line[:limit], line[len(line)-2*limit:]...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && len(line) == 0:
			return nil, nil, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) > limit {
			return line[:limit], line[len(line)-limit:], nil
		}
		return line, nil, nil
	}
}

// Bounds of what a program's output puts into the log.
const (
	maxLogLine = 2 << 10 // bytes of a line
	logBurst   = 100     // lines at once
	logEvery   = 50 * time.Millisecond
)

// talk logs what a program says beside its messages, and keeps the last line:
// it often says why the program ended.
type talk struct {
	log zerolog.Logger
	now func() time.Time

	mu      sync.Mutex // two streams
	last    string
	tokens  int
	refill  time.Time
	dropped int
}

func newTalk(log zerolog.Logger) *talk {
	return &talk{log: log, now: time.Now, tokens: logBurst}
}

// drain reads to the end of r.
func (t *talk) drain(r io.Reader) {
	buf := bufio.NewReader(r)
	for {
		line, tail, err := readLine(buf, maxLogLine)
		if err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.flush()
			return
		}
		t.line(line, tail != nil)
	}
}

// line takes a line; cut says that there was more of it.
func (t *talk) line(b []byte, cut bool) {
	if len(b) > maxLogLine {
		b, cut = b[:maxLogLine], true
	}
	s := strings.ToValidUTF8(string(b), "\uFFFD")
	if cut {
		s += "..."
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if trimmed := strings.TrimSpace(s); trimmed != "" {
		t.last = trimmed
	}
	now := t.now()
	if n := int(now.Sub(t.refill) / logEvery); n > 0 {
		t.tokens, t.refill = min(t.tokens+n, logBurst), now
	}
	if t.tokens == 0 {
		t.dropped++
		return
	}
	t.tokens--
	t.flush()
	t.log.Info().Str("line", s).Msg("trainer says")
}

// flush tells how many lines were left out.
func (t *talk) flush() {
	if t.dropped > 0 {
		t.log.Warn().Int("lines", t.dropped).Msg("trainer says more than is logged")
		t.dropped = 0
	}
}

// lastLine is the last line that was not empty.
func (t *talk) lastLine() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last
}

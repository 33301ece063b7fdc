package exec

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestReadLine(t *testing.T) {
	t.Parallel()
	in := "short\r\n\n" + strings.Repeat("a", 40) + "\n" + strings.Repeat("b", 41) + "\n" + strings.Repeat("c", 1000) + strings.Repeat("d", 1000) + "end\nlast"
	r := bufio.NewReaderSize(strings.NewReader(in), 16)
	for _, want := range []struct {
		line string
		tail string
	}{
		{"short", ""},
		{"", ""},
		{strings.Repeat("a", 40), ""},
		{strings.Repeat("b", 40), strings.Repeat("b", 40)},
		{strings.Repeat("c", 40), strings.Repeat("d", 37) + "end"},
		{"last", ""},
	} {
		line, tail, err := readLine(r, 40)
		if err != nil || string(line) != want.line || string(tail) != want.tail {
			t.Errorf("%q, %q, %v; want %q, %q", line, tail, err, want.line, want.tail)
		}
	}
	if _, _, err := readLine(r, 40); err == nil {
		t.Error("a line after the end")
	}
}

func TestTalk(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	talk, now := newTalk(zerolog.New(&log)), time.Unix(0, 0)
	talk.now = func() time.Time { return now }
	talk.drain(strings.NewReader(strings.Repeat("line\n", logBurst+7) + "\xff" + strings.Repeat("x", maxLogLine) + "\n  \n"))
	out := log.String()
	if n := strings.Count(out, "trainer says\""); n != logBurst {
		t.Errorf("%d lines logged, want %d", n, logBurst)
	}
	if !strings.Contains(out, `"lines":9`) {
		t.Errorf("what was left out is not told: %s", out[max(0, len(out)-200):])
	}
	if last := talk.lastLine(); !strings.HasPrefix(last, "\uFFFDxx") || len(last) != maxLogLine+2+len("...") {
		t.Errorf("last line of %d bytes: %.10q", len(last), last)
	}
	log.Reset()
	now = now.Add(2 * logEvery)
	talk.drain(strings.NewReader("a\nb\nc\n"))
	if n := strings.Count(log.String(), "trainer says\""); n != 2 {
		t.Errorf("%d lines after two intervals", n)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	err := Config{Mode: "always", Start: -1, Timeout: -1, Nice: 20, Memory: -1}.Validate()
	for _, want := range []string{"command: missing", `mode: "always"`, "no directory", "start: -1ns", "timeout: -1ns", "nice: 20", "memory: -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

package hostile

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// row is an attack. Its function works until stop is closed, or has done enough,
// and says what it saw and whether that is as it should be.
type row struct {
	name   string
	what   string
	share  float64 // of their pace that honest sites keep while it lasts; 0: they go on
	attack func(s *stage, stop <-chan struct{}) (seen string, held bool)
}

// What an attack may cost whoever it is not about.
const (
	mostMemory = 400       // MiB of the broker
	mostLog    = 256 << 10 // bytes of the broker's log, for one row
)

// effort is how long rows take, and how exact what they measure can be.
type effort struct {
	before, during, after time.Duration
	share                 float64 // of a row's share that is asked for
	many                  int     // of what is counted: connections, messages
}

var (
	short = effort{2 * time.Second, 3 * time.Second, time.Second, .5, 1}
	long  = effort{10 * time.Second, 30 * time.Second, 10 * time.Second, 1, 10}
)

// how is set once, before the rows.
var how effort

// line is what became of a row.
type line struct {
	row
	before, during, after float64
	memory                int
	log                   int64
	seen                  string
	bad                   []string
}

func TestHostile(t *testing.T) {
	switch os.Getenv("FEDMQ_TEST_HOSTILE") {
	case "":
		t.Skip("FEDMQ_TEST_HOSTILE is not set: make hostile")
	case "short":
		how = short
	default:
		how = long
	}
	program := build(t)
	var table []line
	for _, part := range []struct {
		kind kind
		rows []row
	}{{accounts, accountRows}, {open, memberRows}, {signed, signedRows}} {
		var s *stage
		for _, r := range part.rows {
			if s == nil {
				s = begin(t, program, part.kind)
			}
			t.Run(strings.Fields(r.name)[0], func(t *testing.T) {
				l := s.play(r)
				table = append(table, l)
				for _, why := range l.bad {
					t.Errorf("%s: %s (%s)", r.name, why, l.seen)
				}
				if len(l.bad) > 0 {
					s.end()
					s = nil
				}
			})
		}
		if s != nil {
			s.end()
		}
	}
	page := render(table)
	t.Log("\n" + page)
	if file := os.Getenv("FEDMQ_HOSTILE_WRITE"); file != "" {
		if err := rewrite(file, page); err != nil {
			t.Fatal(err)
		}
	}
}

// build returns the program, built unless FEDMQ_PROGRAM names it.
func build(t *testing.T) string {
	t.Helper()
	if p := os.Getenv("FEDMQ_PROGRAM"); p != "" {
		return p
	}
	p := filepath.Join(t.TempDir(), "fedmq")
	if out, err := exec.Command("go", "build", "-trimpath", "-o", p, "../../cmd/fedmq").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return p
}

// play measures the federation before, while and after somebody attacks it.
func (s *stage) play(r row) line {
	l := line{row: r, before: s.pace(how.before)}
	s.broker.peak()
	log := s.broker.logBytes()
	stop, done := make(chan struct{}), make(chan struct{})
	held := false
	go func() {
		defer close(done)
		l.seen, held = r.attack(s, stop)
	}()
	l.during = s.pace(how.during)
	close(stop)
	<-done
	s.leave()
	l.after = s.pace(how.after)
	l.memory, l.log = s.broker.peak(), s.broker.logBytes()-log
	check := func(ok bool, format string, args ...any) {
		if !ok {
			l.bad = append(l.bad, fmt.Sprintf(format, args...))
		}
	}
	check(held, "not as it should be")
	check(!s.broker.Ended(), "the broker has ended")
	check(!s.owner.Ended(), "the aggregator has ended")
	check(l.memory <= mostMemory, "%d MiB, want at most %d", l.memory, mostMemory)
	check(l.log <= mostLog, "%d bytes of log, want at most %d", l.log, mostLog)
	check(l.after > 0 && l.after >= how.share*l.before/2, "%.1f rounds a second afterwards, %.1f before", l.after, l.before)
	check(l.during > 0 && l.during >= r.share*how.share*min(l.before, l.after), // others may use the machine
		"%.1f rounds a second while it lasts, %.1f before, %.1f after", l.during, l.before, l.after)
	return l
}

// leave ends what attackers left open, but not who watches.
func (s *stage) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.conns[1:] {
		_ = k.Close()
	}
	s.conns = s.conns[:1]
}

const (
	beginTable = "<!-- hostile -->"
	endTable   = "<!-- /hostile -->"
)

func render(table []line) string {
	var b strings.Builder
	b.WriteString("| row | what it does | rounds/s before | during | after | broker MiB | log kB | seen | verdict |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range table {
		verdict := "held"
		if len(l.bad) > 0 {
			verdict = "**" + strings.Join(l.bad, "; ") + "**"
		}
		fmt.Fprintf(&b, "| %s | %s | %.1f | %.1f | %.1f | %d | %.1f | %s | %s |\n",
			l.name, l.what, l.before, l.during, l.after, l.memory, float64(l.log)/1000, l.seen, verdict)
	}
	return b.String()
}

// rewrite puts the table between its marks in a page.
func rewrite(file, page string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text := string(b)
	from, to := strings.Index(text, beginTable), strings.Index(text, endTable)
	if from < 0 || to < from {
		return fmt.Errorf("%s: want %s and %s", file, beginTable, endTable)
	}
	return os.WriteFile(file, []byte(text[:from]+beginTable+"\n"+page+text[to:]), 0o600)
}

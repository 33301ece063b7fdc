//go:build unix

package pages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/proc"
)

// How long things may take; a page has minutes, all of them together.
const (
	blockLimit  = 90 * time.Second
	expectLimit = 30 * time.Second
	stopLimit   = 10 * time.Second
	poll        = 50 * time.Millisecond
)

// runner runs the steps of one page.
type runner struct {
	dir, port string // a fresh copy of the repository; what 1883 becomes
	env       []string
	theirs    map[string]bool     // files that were there before the first block
	blocks    map[string]*process // by name
	expect    time.Duration
	logf      func(string, ...any)
}

// page runs all steps of a variant, then ends what still runs.
func (r *runner) page(ctx context.Context, steps []step, variant string) (err error) {
	r.blocks = map[string]*process{}
	defer func() {
		for _, p := range r.blocks {
			p.end()
		}
	}()
	began := time.Now()
	for _, s := range steps {
		if s.variant != "" && s.variant != variant {
			continue
		}
		r.logf("%5.1f s  %v", time.Since(began).Seconds(), s)
		if err := r.step(ctx, s); err != nil {
			return fmt.Errorf("%v: %w\n%s", s, err, r.tails())
		}
	}
	return nil
}

func (r *runner) step(ctx context.Context, s step) error {
	p := r.blocks[s.name]
	switch s.verb {
	case "run":
		return r.run(ctx, s)
	case "background":
		p, err := begin(r.dir, r.env, "exec "+r.ported(s.code))
		r.blocks[s.name] = p
		return err
	case "output":
		return r.await(ctx, p, patterns(s.text))
	case "expect":
		return r.await(ctx, p, []*regexp.Regexp{regexp.MustCompile(s.text)})
	case "stop":
		return p.stop(syscall.SIGINT)
	case "kill":
		if p.Ended() {
			return errors.New("has ended by itself")
		}
		p.end()
	}
	return nil
}

// ported has the port of this run where a page has 1883.
func (r *runner) ported(code string) string { return strings.ReplaceAll(code, "1883", r.port) }

// run runs a block to its end, and ports the configurations it has written.
func (r *runner) run(ctx context.Context, s step) error {
	p, err := begin(r.dir, r.env, r.ported(s.code))
	if err != nil {
		return err
	}
	r.blocks[s.name] = p
	ctx, cancel := context.WithTimeout(ctx, blockLimit)
	defer cancel()
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.end()
		return fmt.Errorf("did not end: %w", ctx.Err())
	}
	if err := p.Err(); err != nil {
		return err
	}
	return r.portFiles()
}

// portFiles ports the YAML files that were not there before the first block.
func (r *runner) portFiles() error {
	return filepath.WalkDir(r.dir, func(path string, e os.DirEntry, err error) error {
		rel, relErr := filepath.Rel(r.dir, path)
		if err = errors.Join(err, relErr); err != nil || e.IsDir() || filepath.Ext(path) != ".yaml" || r.theirs[rel] {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(b), "1883") {
			return err
		}
		return os.WriteFile(path, []byte(r.ported(string(b))), 0o600)
	})
}

// await waits until each pattern has matched a line of a block's output. What
// runs in the background must go on meanwhile.
func (r *runner) await(ctx context.Context, p *process, want []*regexp.Regexp) error {
	ctx, cancel := context.WithTimeout(ctx, r.expect)
	defer cancel()
	for {
		ended := p.Ended() // before the look: its output is whole then
		lines := strings.Split(p.output(), "\n")
		left := missing(lines, want)
		if left == nil {
			return nil
		}
		if ended {
			return fmt.Errorf("has ended, and no line of its output matches %s", left)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no line of the output matches %s: %w", left, ctx.Err())
		case <-time.After(poll):
		}
	}
}

// missing returns the first pattern that no line matches.
func missing(lines []string, want []*regexp.Regexp) *regexp.Regexp {
	for _, re := range want {
		found := false
		for _, l := range lines {
			found = found || re.MatchString(l)
		}
		if !found {
			return re
		}
	}
	return nil
}

var varies = regexp.MustCompile(`\.\.\.|\s+|\b[0-9a-f]{8,}\b|[0-9]+`)

// patterns of the lines that a page shows: numbers, hashes and times are others
// in every run, and so is what stands for "...".
func patterns(text string) []*regexp.Regexp {
	var out []*regexp.Regexp
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line == "..." {
			continue
		}
		b, at := strings.Builder{}, 0
		for _, m := range varies.FindAllStringIndex(line, -1) {
			b.WriteString(regexp.QuoteMeta(line[at:m[0]]))
			switch part := line[m[0]:m[1]]; {
			case part == "...":
				b.WriteString(".*")
			case strings.TrimSpace(part) == "":
				b.WriteString(`\s+`)
			case len(part) >= 8:
				b.WriteString("[0-9a-f]+")
			default:
				b.WriteString("[0-9]+")
			}
			at = m[1]
		}
		b.WriteString(regexp.QuoteMeta(line[at:]))
		out = append(out, regexp.MustCompile(`^\s*`+b.String()+`\s*$`))
	}
	return out
}

// tails are the ends of what the blocks have printed.
func (r *runner) tails() string {
	var b strings.Builder
	for name, p := range r.blocks {
		if p != nil {
			fmt.Fprintf(&b, "--- the end of %s\n%s\n", name, proc.Tail(p.output()))
		}
	}
	return b.String()
}

func TestRunner(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, page, want string }{
		{"all", "```sh\necho 'b: 1883' >a.yaml; grep 4711 a.yaml || echo new >note\n```\n" +
			"<!-- background b -->\n```sh\nsh -c 'trap \"exit 0\" INT; echo port 1883; while :; do sleep 0.1; done'\n```\n" +
			"<!-- output of b -->\n```\nport 12\n```\n<!-- expect b: ^port 4711$ -->\n<!-- stop b -->\n" +
			"```sh\ngrep 4711 a.yaml && grep 188. old.yaml\n```\n<!-- skip: not today -->\n```sh\nfalse\n```\n", ""},
		{"fails", "```sh\ntrue\nfalse\ntrue\n```\n", "line 1: run line-1: exit status 1"},
		{"says something else", "<!-- run a -->\n```sh\necho round 7 of x\n```\n<!-- output of a -->\n```\nround 7 of y\n```\n", "no line of its output matches"},
		{"never says it", "<!-- background a -->\n```sh\nsleep 60\n```\n<!-- expect a: up -->\n", "no line of the output matches up"},
		{"ends early", "<!-- background a -->\n```sh\nfalse\n```\n<!-- expect a: up -->\n", "has ended"},
		{"ends with an error", "<!-- background a -->\n```sh\nsh -c 'trap \"exit 3\" INT; echo up; while :; do sleep 0.1; done'\n```\n<!-- expect a: up -->\n<!-- stop a -->\n", "exit status 3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			steps, err := parse(tt.page)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "old.yaml"), []byte("port: 1883\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			r := &runner{dir: dir, port: "4711", theirs: map[string]bool{"old.yaml": true}, expect: expectLimit, logf: t.Logf}
			if tt.name == "never says it" {
				r.expect = time.Second
			}
			err = r.page(t.Context(), steps, "")
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		shown, got string
		want       bool
	}{
		{"round  9", "  round 12 ", true},
		{"round 9", "round nine", false},
		{"model 198c47aa00 of 2/ 2", "model ffe1a2b3c4d5e6f7 of 1/ 2", true},
		{"model 198c47aa00", "model of steel", false},
		{`{...,"event":"accepted","count":2}`, `{"schema":"x","event":"accepted","count":1}`, true},
		{`{...,"event":"accepted"}`, `{"schema":"x","event":"refused"}`, false},
		{"accuracy 0.9", "accuracy 0.9 and more", false},
	} {
		if got := missing([]string{tt.got}, patterns(tt.shown)) == nil; got != tt.want {
			t.Errorf("shown %q, printed %q: match %v, want %v", tt.shown, tt.got, got, tt.want)
		}
	}
}

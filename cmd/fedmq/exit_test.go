package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/internal/racing"
)

func TestExitCode(t *testing.T) {
	t.Parallel()
	ended, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want int
	}{
		{t.Context(), nil, exitOK},
		{ended, nil, exitOK},
		{ended, fmt.Errorf("x: %w", context.Canceled), exitInterrupted},
		{t.Context(), context.Canceled, exitError},
		{ended, errors.New("x"), exitError},
		{t.Context(), fmt.Errorf("x: %w", usageError{errors.New("y")}), exitUsage},
		{t.Context(), fmt.Errorf("%w: x", errBelowQuorum), exitBelowQuorum},
	} {
		if got := exitCode(c.ctx, c.err); got != c.want {
			t.Errorf("%v, ended %v: exit code %d, want %d", c.err, c.ctx.Err(), got, c.want)
		}
	}
}

// docs/ref/exit-codes.md has every code and every command, says what the
// scripts see, and the scripts see nothing else.
func TestExitCodesPage(t *testing.T) {
	racing.Alone(t)
	t.Parallel()
	page, err := os.ReadFile("../../docs/ref/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	var codes, commands []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(string(page), -1) {
		codes = append(codes, m[1])
	}
	if want := strings.Fields(fmt.Sprint(exitOK, exitError, exitUsage, exitBelowQuorum, exitInterrupted)); !slices.Equal(codes, want) {
		t.Errorf("the page has the codes %q, the code %q", codes, want)
	}
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([0-9, ]+) \\|.*\\| ([^|]*) \\|$").FindAllStringSubmatch(string(page), -1) {
		commands = append(commands, m[1])
		said := strings.Split(m[2], ", ")
		for _, name := range scripts {
			for _, code := range exits(t, name, m[1]) {
				if !slices.Contains(said, code) {
					t.Errorf("%s: %s ends with %s, the page has %q", name, m[1], code, said)
				}
			}
		}
		for _, seen := range regexp.MustCompile(`(\S+\.txtar) \(([0-9, ]+)\)`).FindAllStringSubmatch(m[3], -1) {
			for code := range strings.SplitSeq(seen[2], ", ") {
				if !slices.Contains(exits(t, "testdata/"+seen[1], m[1]), code) {
					t.Errorf("%s does not see that %s ends with %s", seen[1], m[1], code)
				}
			}
		}
	}
	if diff := cmp.Diff(leaves(t), commands); diff != "" {
		t.Errorf("commands: - in the program, + on the page:\n%s", diff)
	}
}

// leaves lists the program's commands, without the hidden ones.
func leaves(t *testing.T) (names []string) {
	t.Helper()
	p, err := kong.New(&cli{}, kong.Name("fedmq"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range p.Model.Leaves(true) {
		names = append(names, strings.TrimPrefix(n.Path(), "fedmq "))
	}
	return names
}

// exits lists the exit codes of a command that a script wants to see.
func exits(t *testing.T, script, command string) (codes []string) {
	t.Helper()
	b, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^(?:exit (\d+)|(exec)) fedmq ` + command + `(?: (.*))?$`)
	for _, m := range line.FindAllStringSubmatch(string(b), -1) {
		switch {
		case m[2] == "":
			codes = append(codes, m[1])
		case strings.Contains(m[3], "--help"):
		case !strings.HasSuffix(m[3], "&") || strings.Contains(string(b), "\nwait"): // wait wants 0 of what runs in the background
			codes = append(codes, "0")
		}
	}
	return codes
}

package figures

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/fedmq/fedmq/internal/bench"
)

// run runs the program and reads the JSON object that it prints.
func (f *figures) run(into any, args ...string) { f.runAs(f.program, into, args...) }

func (f *figures) runAs(program string, into any, args ...string) {
	f.Helper()
	began := time.Now()
	cmd := exec.Command(program, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		f.Fatalf("%s %s: %v", program, strings.Join(args, " "), err)
	}
	if err := json.Unmarshal(out, into); err != nil {
		f.Fatalf("%s: %v: %.200s", strings.Join(args, " "), err, out)
	}
	f.Logf("%s: %.0f s", strings.Join(args, " "), time.Since(began).Seconds())
}

// round is a bench round of ten processes that train, unless args say otherwise.
func (f *figures) round(params int, args ...string) *bench.Result {
	f.Helper()
	return f.roundAs(f.program, params, args...)
}

func (f *figures) roundAs(program string, params int, args ...string) *bench.Result {
	f.Helper()
	var r bench.Result
	f.runAs(program, &r, append([]string{"bench", "round", "--processes", "--json", "--params", strconv.Itoa(params)}, args...)...)
	if *r.Error != 0 {
		f.Fatalf("%d parameters: the model is off by %g", params, *r.Error)
	}
	return &r
}

// about is the machine and the program.
func (f *figures) about() string {
	var v struct {
		Version, Commit, Go, Platform string
	}
	f.run(&v, "version", "--json")
	model := "processor unknown"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(b), "model name"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			model = strings.TrimLeft(line, " \t:")
		}
	}
	commit := v.Commit
	if out, err := exec.Command("git", "rev-parse", "HEAD").Output(); err == nil && commit == "" {
		commit = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%d processors (%s), %s, %s, fedmq at commit %s", runtime.NumCPU(), model, v.Platform, v.Go, commit[:min(len(commit), 7)])
}

// write puts a table between its marks on a page, and prints it.
func (f *figures) write(page, name, text string) {
	f.Helper()
	f.Logf("%s, %s:\n%s", page, name, text)
	if f.root == "" {
		return
	}
	path := filepath.Join(f.root, filepath.FromSlash(page))
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	out, err := between(string(b), name, text)
	if err != nil {
		f.Fatalf("%s: %v", page, err)
	}
	if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
		f.Fatal(err)
	}
}

const end = "<!-- end of figures -->"

// between replaces what is between the marks of a name.
func between(page, name, text string) (string, error) {
	begin := "<!-- figures: " + name + " -->"
	before, rest, ok := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		return "", fmt.Errorf("want %s and %s", begin, end)
	}
	return before + begin + "\n" + text + end + after, nil
}

//go:build unix

package pages

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/proc"
)

const root = "../.."

// pages are the README, the tutorials, what is compared with others, and how-tos
// that are run from end to end.
func pages(t *testing.T) []string {
	t.Helper()
	more, err := filepath.Glob(root + "/docs/tutorial/*.md")
	if err != nil || len(more) == 0 {
		t.Fatalf("no tutorials: %v", err)
	}
	out := []string{root + "/README.md", root + "/docs/explain/newcomer.md"}
	for _, name := range []string{"compare", "rare-faults", "from-excel", "categories-and-time", "elsewhere"} {
		out = append(out, root+"/docs/howto/"+name+".md")
	}
	return append(out, more...)
}

func read(t *testing.T, page string) []step {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := parse(string(text))
	if err != nil {
		t.Fatalf("%s: %v", page, err)
	}
	return steps
}

// Every command of a page is a block that is run, or says why it is not.
func TestPagesParse(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		n := 0
		for _, s := range read(t, page) {
			if s.verb == "run" || s.verb == "background" {
				n++
			}
		}
		if n == 0 {
			t.Errorf("%s: no block that is run", page)
		}
	}
}

// TestPages runs the pages.
func TestPages(t *testing.T) {
	if os.Getenv("FEDMQ_TEST_PAGES") == "" {
		t.Skip("make quickstart runs it")
	}
	program := build(t)
	for _, page := range pages(t) {
		t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) {
			t.Parallel()
			steps := read(t, page)
			for _, variant := range variants(steps) {
				t.Run(variant, func(t *testing.T) {
					t.Parallel()
					runPage(t, steps, variant, program)
				})
			}
		})
	}
}

// build links the program once: the "make build" of a page finds it as it would make it.
func build(t *testing.T) string {
	t.Helper()
	dir, _ := checkout(t)
	cmd := exec.CommandContext(t.Context(), "make", "build")
	cmd.Dir, cmd.Env = dir, environment()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "bin", "fedmq")
}

func runPage(t *testing.T, steps []step, variant, program string) {
	t.Helper()
	if !possible(steps, variant) {
		t.Skipf("%s is not installed", variant)
	}
	port, err := proc.Port() // that a page has 1883 for
	if err != nil {
		t.Fatal(err)
	}
	dir, theirs := checkout(t)
	if err := copyFile(filepath.Join(dir, "bin", "fedmq"), program); err != nil {
		t.Fatal(err)
	}
	r := &runner{dir: dir, port: port, env: environment(), theirs: theirs, expect: expectLimit, logf: t.Logf}
	if err := r.page(t.Context(), steps, variant); err != nil {
		t.Error(err)
	}
}

// sbin is where Debian keeps mosquitto.
const sbin = "/usr/sbin"

// possible reports that the program that a variant is named after is here, if
// it is one.
func possible(steps []step, variant string) bool {
	for _, s := range steps {
		program, _, _ := strings.Cut(s.code, " ")
		if s.variant == "" || s.variant != variant || program != variant {
			continue
		}
		_, inPath := exec.LookPath(program)
		_, inSbin := os.Stat(filepath.Join(sbin, program))
		if inPath != nil && inSbin != nil {
			return false
		}
	}
	return true
}

// environment has the Python of FEDMQ_PYTHON first. -trimpath lets a copy use what the original has compiled.
func environment() []string {
	path := os.Getenv("PATH") + ":" + sbin
	if python := os.Getenv("FEDMQ_PYTHON"); python != "" {
		path = python + ":" + path
	}
	return append(os.Environ(), "PATH="+path, "GOFLAGS=-trimpath "+os.Getenv("GOFLAGS"))
}

// checkout copies the files of the repository, with what is not committed yet.
func checkout(t *testing.T) (dir string, files map[string]bool) {
	t.Helper()
	dir, files = t.TempDir(), map[string]bool{}
	out, err := exec.Command("git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for _, name := range strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		err := copyFile(filepath.Join(dir, name), filepath.Join(root, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		files[filepath.FromSlash(name)] = true
	}
	return dir, files
}

func copyFile(to, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err // not there: removed, and not committed yet
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, b, info.Mode().Perm()))
}

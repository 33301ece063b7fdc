package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/racing"
)

var (
	ruleDefined = regexp.MustCompile(`(?m)^(?:- )?\*\*([A-Z]{1,2}-\d+)\*\*`)
	ruleCited   = regexp.MustCompile(`(?:^|[^\w-])((?:TR|RC|[TWRSXFC])-\d{1,3})\b`)
)

// Every rule that code, tests and pages cite stands in docs/spec, once.
func TestRules(t *testing.T) {
	racing.Alone(t)
	t.Parallel()
	defined := map[string]string{}
	pages, err := filepath.Glob("../../docs/spec/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		for _, m := range ruleDefined.FindAllStringSubmatch(fileText(t, page), -1) {
			if other, twice := defined[m[1]]; twice {
				t.Errorf("%s stands in %s and in %s", m[1], other, page)
			}
			defined[m[1]] = page
		}
	}
	cited := map[string]int{}
	err = filepath.WalkDir("../..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := e.Name(); e.IsDir() {
			if name == "vendor" || strings.HasPrefix(name, ".") && name != ".." {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".md", ".py", ".txt", ".txtar":
		default:
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range ruleCited.FindAllStringSubmatch(string(text), -1) {
			prefix, _, _ := strings.Cut(m[1], "-")
			if cited[prefix]++; defined[m[1]] == "" {
				t.Errorf("%s cites %s, which is not in docs/spec", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"T", "W", "TR", "R", "S", "X", "F", "RC", "C"} {
		if cited[prefix] < 5 {
			t.Errorf("%d citations of rules %s-: this test does not find them", cited[prefix], prefix)
		}
	}
}

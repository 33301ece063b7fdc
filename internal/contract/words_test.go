package contract_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/verdict"
)

// The glossary has at most forty words, in order, each once; every verdict that is
// not a refusal or plain English is among them.
func TestWords(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "spec", "words.md"))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) == 4 && !strings.Contains(cells[1], "---") && strings.TrimSpace(cells[1]) != "word" {
			words = append(words, strings.TrimSpace(cells[1]))
		}
	}
	if len(words) == 0 || len(words) > 40 || !slices.IsSorted(words) || len(slices.Compact(slices.Clone(words))) != len(words) {
		t.Errorf("%d words, at most 40, sorted: %q", len(words), words)
	}
	for _, r := range verdict.All() {
		plain := r == verdict.Missing || r == verdict.NotDue
		if !r.Refusal() && !plain && !slices.Contains(words, r.String()) {
			t.Errorf("the verdict %s is not among the words", r)
		}
	}
}

package strategy_test

import (
	"os"
	"strings"
	"testing"
)

// The code of the page is that of the tests.
func TestPage(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	code := read("example_test.go") + read("seams_test.go") + read("settings_test.go")
	blocks := strings.Split(read("../docs/howto/strategy.md"), "```go\n")[1:]
	if len(blocks) < 3 {
		t.Errorf("%d blocks", len(blocks))
	}
	for _, b := range blocks {
		if block, _, _ := strings.Cut(b, "```"); !strings.Contains(code, block) {
			t.Errorf("the tests have not:\n%s", block)
		}
	}
}

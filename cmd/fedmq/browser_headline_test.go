package main

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPageHeadline: the page says the sentences of watch.Headline, by the same
// table.
func TestPageHeadline(t *testing.T) {
	chromium(t)
	table, err := os.ReadFile("../../internal/watch/testdata/headlines.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name string `json:"name"`
		Want string `json:"want"`
	}
	if err := json.Unmarshal(table, &cases); err != nil {
		t.Fatal(err)
	}
	b := openTab(t, serveDashboard(t, serveBroker(t)))
	got := eval[[]string](b, `import("/assets/headline.js").then((m) => `+string(table)+`.map((c) => m.headline(c.link, c.owner, c.task, c.now_ms)))`, chromedp.EvalAwaitPromise)
	if len(got) != len(cases) || len(cases) < 20 {
		t.Fatalf("%d sentences of %d", len(got), len(cases))
	}
	for i, c := range cases {
		if got[i] != c.Want {
			t.Errorf("%s:\n got %s\nwant %s", c.Name, got[i], c.Want)
		}
	}
}

package watch_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/fedmq/fedmq/internal/watch"
)

// The headline says who blocks, since when and what to do. The same table holds
// the dashboard's: TestPageHeadline.
func TestHeadline(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/headlines.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name  string          `json:"name"`
		Link  watch.LinkView  `json:"link"`
		Owner watch.OwnerView `json:"owner"`
		Task  watch.TaskView  `json:"task"`
		NowMS int64           `json:"now_ms"`
		Want  string          `json:"want"`
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if got := watch.Headline(c.Link, c.Owner, c.Task, c.NowMS); got != c.Want {
			t.Errorf("%s:\n got %s\nwant %s", c.Name, got, c.Want)
		}
	}
}

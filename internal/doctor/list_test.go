package doctor

import (
	"strings"
	"testing"
)

// What is not known has another cure where the other party was asked, and could not say it.
func TestUnknownLines(t *testing.T) {
	t.Parallel()
	l := List{User: "aggregator", Unknown: []string{"topic read acme/+/line-1/_fl_v1/#"}}
	if s := l.Text(); !strings.Contains(s, "or name its configuration with --as") {
		t.Errorf("nobody was asked: %s", s)
	}
	l.as = "berlin/line-1"
	if s := l.Text(); strings.Contains(s, "--as") || !strings.Contains(s, "user berlin/line-1, could not say it; mend its lines first") {
		t.Errorf("the site was asked: %s", s)
	}
}

package near

import (
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names []string
		want  []string
	}{
		{[]string{"Werk Köln", "berlin/line-1", "berlin/line-1", "東京"}, nil},
		{[]string{"Ko\u0308ln"}, []string{`"Ko\u0308ln" is not in composed form (NFC), and "K\u00f6ln" is another`}},
		{[]string{"Berlin/x", "berlin/x"}, []string{`"Berlin/x" and "berlin/x" are two names`}},
		{[]string{"K\u00f6ln", "k\u00d6LN", "\uff2b\u00f6ln"}, []string{"are two names", "are two names", "are two names"}},
	} {
		got := Warnings(c.names...)
		if len(got) != len(c.want) {
			t.Errorf("%q: %q", c.names, got)
			continue
		}
		for i, w := range c.want {
			if !strings.Contains(got[i], w) {
				t.Errorf("%q: %q, want %q", c.names, got[i], w)
			}
		}
	}
}

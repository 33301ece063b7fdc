package near

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key   string
		known []string
		want  string
	}{
		{"quroum", []string{"quorum", "rounds"}, "quorum"},
		{"Quorum", []string{"quorum"}, "quorum"},
		{"start-when", []string{"start_when", "statistics"}, "start_when"},
		{"x", []string{"a", "b"}, "a"}, // one letter is one slip away from any other
		{"completely", []string{"ca", "key"}, ""},
		{"bat", []string{"cat", "bar"}, "bar"}, // a tie: the first by the alphabet
		{"bat", nil, ""},
	} {
		for range 2 { // whatever the order
			if got := Of(c.key, c.known); got != c.want {
				t.Errorf("Of(%q, %q) = %q, want %q", c.key, c.known, got, c.want)
			}
			slices.Reverse(c.known)
		}
	}
}

// distance against the definition, and what holds of any distance.
func TestDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"quorum", "qourum", 2},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		var b strings.Builder
		for range rng.IntN(6) {
			b.WriteByte("ab_"[rng.IntN(3)])
		}
		return b.String()
	}
	for range 500 {
		a, b := word(), word()
		if got, want := distance(a, b), distanceTwin(a, b); got != want || got != distance(b, a) {
			t.Fatalf("distance(%q, %q) = %d, want %d", a, b, got, want)
		}
	}
}

// distanceTwin is the recursive definition.
func distanceTwin(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	if a[0] == b[0] {
		return distanceTwin(a[1:], b[1:])
	}
	return 1 + min(distanceTwin(a[1:], b), distanceTwin(a, b[1:]), distanceTwin(a[1:], b[1:]))
}

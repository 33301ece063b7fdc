package view

import "testing"

func TestLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"", 4, ""},
		{"abcd", 4, "abcd"},
		{"abcde", 4, "abcd"},
		{"abcé", 4, "abc"},
		{"abcé", 5, "abcé"},
		{"a\nb\x1b", 9, "a b "},
		{"a\u0085b", 9, "a b"},
		{"a\xffb", 9, "a b"},
		{"日本", 2, ""},
	} {
		if got := Line(c.text, c.most); got != c.want {
			t.Errorf("%q in %d bytes: %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

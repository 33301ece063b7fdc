package topics_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/topics"
)

// The vectors of names and topics (T-2, T-6, T-12, T-19).
func TestVectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../testdata/vectors/topics.json")
	if err != nil {
		t.Fatal(err)
	}
	type names []struct{ ID, Name, As string }
	type list []struct {
		ID, Namespace, Topic, Kind, Path, Task, Member string
	}
	var v struct {
		Levels, Escaped names
		LevelsRefused   names `json:"levels_refused"`
		Topics          list
		TopicsRefused   list `json:"topics_refused"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Levels) < 16 || len(v.LevelsRefused) < 32 || len(v.Topics) < 4 || len(v.TopicsRefused) < 4 || len(v.Escaped) < 5 {
		t.Fatalf("cases: %d, %d, %d, %d, %d", len(v.Levels), len(v.LevelsRefused), len(v.Topics), len(v.TopicsRefused), len(v.Escaped))
	}
	for _, c := range v.Levels {
		if _, err := topics.New(c.Name); err != nil || topics.CheckPath("a/"+c.Name) != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
		if _, err := topics.ParseMemberFilter("+/" + c.Name); err != nil {
			t.Errorf("%s: %v", c.ID, err)
		}
	}
	for _, c := range v.LevelsRefused {
		_, err := topics.New(c.Name)
		if !errors.Is(err, topics.ErrTopic) || topics.CheckPath("a/"+c.Name) == nil {
			t.Errorf("%s: %q is taken: %v", c.ID, c.Name, err)
		} else if strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e }) {
			t.Errorf("%s: the error is not to be printed: %q", c.ID, err)
		}
	}
	for _, c := range v.Topics {
		ns := namespace(t, c.Namespace)
		got, err := ns.Parse(c.Topic)
		if err != nil || got.Kind.String() != c.Kind || got.Path != c.Path || got.Task != c.Task || got.Member != c.Member {
			t.Errorf("%s: %+v, %v", c.ID, got, err)
		}
		if s, err := ns.Build(got); err != nil || s != c.Topic {
			t.Errorf("%s: built %q, %v", c.ID, s, err)
		}
	}
	for _, c := range v.TopicsRefused {
		if got, err := namespace(t, c.Namespace).Parse(c.Topic); !errors.Is(err, topics.ErrTopic) {
			t.Errorf("%s: %+v, %v", c.ID, got, err)
		}
	}
	for _, c := range v.Escaped {
		if got := topics.Escape(c.Name); got != c.As {
			t.Errorf("%s: %q", c.ID, got)
		}
	}
}

// An error names what is wrong with a name, not only what would be right.
func TestNameFaults(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"Presse#2":              `has '#' (U+0023)`,
		"a\u202eb":              `has '\u202e' (U+202E)`,
		"a//b":                  `has an empty level`,
		"a/_b":                  `has a level that starts with '_'`,
		"a\xff":                 `has bytes that are not UTF-8`,
		"a\u3000":               `has a level with a blank at an end`,
		"x/../y":                `has a level of dots alone`,
		"1/2/3/4/5/6":           `has 6 levels`,
		strings.Repeat("x", 65): `has a level of 65 bytes`,
	} {
		if err := topics.CheckPath(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}

// levels draws names as plants have them, and some that nobody should have.
func levels() *rapid.Generator[string] {
	odd := []rune(" .,:;%&<>\"'{}=*\\~|!?äÖßéК東京🏭\u0308\u200c_$-")
	r := rapid.OneOf(rapid.RuneFrom([]rune("abzAZ09-_")), rapid.RuneFrom(odd), rapid.Rune())
	return rapid.StringOfN(r, 1, 20, topics.MaxLevel)
}

// What the grammar takes is UTF-8 that is seen, and builds and parses to the same.
func TestNamesRoundTrip(t *testing.T) {
	t.Parallel()
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		prefix := strings.Join(rapid.SliceOfN(levels(), 1, 2).Draw(t, "namespace"), "/")
		path := strings.Join(rapid.SliceOfN(levels(), 1, 4).Draw(t, "path"), "/")
		ns, err := topics.New(prefix)
		if err != nil {
			return
		}
		m, err := ns.Member(path, "q")
		if err != nil {
			return
		}
		taken++
		if !utf8.ValidString(m.Update()) || strings.ContainsAny(prefix+path, "+#\x00\x1b\u202e") {
			t.Fatalf("%q", m.Update())
		}
		for _, in := range []topics.Topic{
			{Kind: topics.Update, Path: path, Task: "q"}, {Kind: topics.Reply, Task: "q", Member: path}, {Kind: topics.State, Path: path},
		} {
			s, err := ns.Build(in)
			if err != nil {
				t.Fatal(err)
			}
			if back, err := ns.Parse(s); err != nil || back != in {
				t.Fatalf("%q parses to %+v, %v", s, back, err)
			}
		}
		f, err := topics.ParseMemberFilter(path)
		if err != nil || !f.Match(path) {
			t.Fatalf("%q does not choose itself: %v", path, err)
		}
		own, other := false, false
		for _, r := range ns.Rules(topics.Party{Role: topics.RoleSite, Path: path}) {
			own = own || r.Write && topics.Contains(r.Filter, m.Update())
			other = other || r.Write && topics.Contains(r.Filter, ns.Node(path+"x")+"/_fl_v1/q/update")
		}
		if !own || other {
			t.Fatalf("%q writes its own: %t, another's: %t", path, own, other)
		}
	})
	if taken == 0 {
		t.Error("no name was taken")
	}
}

// Two names are never one client id or folder, and what stands there is plain.
func FuzzEscape(f *testing.F) {
	f.Add("Werk Köln", "Werk%20Köln")
	f.Add("a/b", "a%2Fb")
	f.Add("..", "%2E%2E")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := topics.Escape(a), topics.Escape(b)
		if (x == y) != (a == b) {
			t.Fatalf("%q and %q: %q and %q", a, b, x, y)
		}
		if strings.ContainsFunc(x, func(r rune) bool { return r > '~' || strings.ContainsRune(" .:*\\<>|\"?", r) }) {
			t.Fatalf("%q: %q", a, x)
		}
		if back, err := url.PathUnescape(x); err != nil || back != a {
			t.Fatalf("%q: %q, %q, %v", a, x, back, err)
		}
	})
}

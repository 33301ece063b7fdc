package topics_test

import (
	"strings"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter, topic string
		want          bool
	}{
		{"a/b", "a/b", true},
		{"a/b", "a/b/c", false},
		{"a/b/c", "a/b", false},
		{"a/+", "a/b", true},
		{"a/+", "a", false},
		{"+", "a", true},
		{"+/+", "a", false},
		{"#", "a/b/c", true},
		{"a/#", "a", true},
		{"a/#", "a/b/c", true},
		{"a/#", "ab", false},
		{"+/#", "a", true},
		{"a/+/#", "a", false},
		{"#", "$SYS/x", false},
		{"+/x", "$SYS/x", false},
		{"+/#", "$SYS/x", false},
		{"$SYS/#", "$SYS/x", true},
		{"a/+", "a/$x", true}, // only a leading $ is special
		{"a/#", "a/#", false}, // not a topic
		{"+", "+", false},
		{"", "", false},
		{"a//b", "a//b", false},
		{"a/", "a/", false},
		{"a#", "a#", false},
		{"a/#/b", "a/x/b", false},
		{"a+/b", "a+/b", false},
		{"$share/g/a", "a", false},
		{"$share/g/a", "$share/g/a", false},
	} {
		if got := topics.Match(c.filter, c.topic); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.filter, c.topic, got)
		}
	}
}

func TestContains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		allowed, needle string
		want            bool
	}{
		{"#", "#", true},
		{"#", "+/#", true},
		{"+/#", "#", true}, // both match every topic without a leading $
		{"s/+", "s/#", false},
		{"s/#", "s/+", true},
		{"s/#", "s", true},
		{"s/#", "s/#", true},
		{"s/#", "+", false},
		{"s", "+", false},
		{"+", "s", true},
		{"+/a", "+/a", true},
		{"+/a", "+/+", false},
		{"s/+", "s", false},
		{"s", "s/#", false},
		{"a/+/#", "a/#", false},
		{"+/a/#", "b/a", true},
		{"#", "$SYS/#", false},
		{"+/x", "$a/x", false},
		{"$SYS/#", "$SYS/+", true},
		{"$SYS/#", "#", false},
		{"#", "$share/g/a", false},
		{"#", "$SHARE/g/a", false},
		{"$share/#", "$share/g/a", false},
		{"$share", "$share", false},
		{"$shares/+", "$shares/a", true},
		{"#", "", false},
		{"", "", false},
		{"#", "a//b", false},
		{"#", "/", false},
		{"#", "a/#/b", false},
		{"#", "a/b+", false},
		{"#", "a\x00", false},
	} {
		if got := topics.Contains(c.allowed, c.needle); got != c.want {
			t.Errorf("Contains(%q, %q) = %v", c.allowed, c.needle, got)
		}
	}
}

// words returns all strings of 1..depth levels over the given levels.
func words(depth int, levels ...string) []string {
	var all []string
	last := []string{""}
	for d := range depth {
		var next []string
		for _, w := range last {
			for _, l := range levels {
				if d == 0 {
					next = append(next, l)
				} else {
					next = append(next, w+"/"+l)
				}
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

// naiveMatch is the twin: MQTT 3.1.1 section 4.7, by recursion over levels.
func naiveMatch(filter, topic []string, first bool) bool {
	if len(filter) == 0 {
		return len(topic) == 0
	}
	if first && strings.HasPrefix(topic[0], "$") && (filter[0] == "+" || filter[0] == "#") {
		return false
	}
	if filter[0] == "#" {
		return len(filter) == 1
	}
	if len(topic) == 0 || (filter[0] != "+" && filter[0] != topic[0]) {
		return false
	}
	return naiveMatch(filter[1:], topic[1:], false)
}

func validFilter(s string) bool {
	i := strings.Index(s, "#")
	return i < 0 || i == len(s)-1
}

// Contains is inclusion of sets of topics: for all filters of up to three
// levels it agrees with enumerating the topics. The topics go one level
// deeper than the filters and have a level ("z") that no filter names, so
// that a wildcard is never mistaken for the names it covers.
func TestContainsAgreesWithEnumeration(t *testing.T) {
	t.Parallel()
	filters := words(3, "a", "b", "$x", "+", "#")
	all := words(4, "a", "b", "$x", "z")
	matched := make([][]bool, len(filters))
	for i, f := range filters {
		if !validFilter(f) {
			continue
		}
		matched[i] = make([]bool, len(all))
		for j, topic := range all {
			want := naiveMatch(strings.Split(f, "/"), strings.Split(topic, "/"), true)
			if got := topics.Match(f, topic); got != want {
				t.Fatalf("Match(%q, %q) = %v, the twin says %v", f, topic, got, want)
			}
			matched[i][j] = want
		}
	}
	for i, allowed := range filters {
		for k, needle := range filters {
			want := matched[i] != nil && matched[k] != nil
			for j := range all {
				if !want {
					break
				}
				want = matched[i][j] || !matched[k][j]
			}
			if got := topics.Contains(allowed, needle); got != want {
				t.Errorf("Contains(%q, %q) = %v, enumeration says %v", allowed, needle, got, want)
			}
		}
	}
}

func TestFiltersDoNotAllocate(t *testing.T) {
	ns := namespace(t, "acme")
	f, err := topics.ParseMemberFilter("+/line-1")
	if err != nil {
		t.Fatal(err)
	}
	sub := ns.MemberFilterTopic(f, "q", topics.Update)
	n := testing.AllocsPerRun(100, func() {
		if !topics.Match(sub, "acme/berlin/line-1/_fl_v1/q/update") ||
			!topics.Contains("acme/+/line-1/_fl_v1/#", sub) ||
			topics.Contains("acme/_fl_v1/#", sub) ||
			!f.Match("berlin/line-1") {
			panic("wrong answer")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMemberFilter(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "acme")
	f, err := topics.ParseMemberFilter("+/line-1")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"berlin/line-1": true, "berlin/line-2": false, "berlin": false, "a/berlin/line-1": false,
		"+/line-1": false, "/line-1": false, "": false, "$x/line-1": false, "_x/line-1": false,
	} {
		if f.Match(path) != want {
			t.Errorf("%v.Match(%q) = %v", f, path, !want)
		}
	}
	if (topics.MemberFilter{}).Match("a") || (topics.MemberFilter{}).Match("") {
		t.Error("the zero filter matches")
	}
	for k, want := range map[topics.Kind]string{
		topics.Update: "acme/+/line-1/_fl_v1/q/update",
		topics.State:  "acme/+/line-1/_fl_v1/state",
		topics.SecAgg: "acme/+/line-1/_fl_v1/q/secagg/+",
	} {
		if got := ns.MemberFilterTopic(f, "q", k); got != want {
			t.Errorf("MemberFilterTopic(%v) = %q, want %q", k, got, want)
		}
	}
}

func BenchmarkContains(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		topics.Contains("acme/+/line-1/_fl_v1/#", "acme/berlin/line-1/_fl_v1/quality/update")
	}
}

// Filters of paths are MQTT's, with levels that a path can have.
func TestPathFilters(t *testing.T) {
	t.Parallel()
	for filter, matches := range map[string]string{
		"#": "a a/b a/b/c/d/e", "a": "a", "a/+": "a/b", "a/#": "a a/b a/b/c", "+": "a", "+/b": "a/b", "+/#": "a a/b a/b/c/d/e", "a/b/c/d/e": "a/b/c/d/e",
	} {
		if err := topics.CheckPathFilter(filter); err != nil {
			t.Errorf("%s: %v", filter, err)
		}
		for _, path := range strings.Fields(matches) {
			if !topics.MatchPath(filter, path) {
				t.Errorf("%s does not match %s", filter, path)
			}
		}
	}
	for _, bad := range []string{"", "/", "a//b", "a/", "#/a", "a/#/b", "a+", "a/b/c/d/e/f", "$share/g/a", "_a", "a/b#"} {
		if topics.CheckPathFilter(bad) == nil {
			t.Errorf("%q passes", bad)
		}
	}
	for filter, path := range map[string]string{"a/+": "a", "a": "a/b", "#": "_fl_v1", "+": "a/b", "a/#": "b"} {
		if topics.MatchPath(filter, path) {
			t.Errorf("%s matches %s", filter, path)
		}
	}
}

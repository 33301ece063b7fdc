package topics_test

import (
	"testing"

	"github.com/fedmq/fedmq/topics"
)

// Whatever parses is built again to the same bytes.
func FuzzParse(f *testing.F) {
	for _, c := range wellFormed {
		f.Add("acme", c.topic)
	}
	f.Add("umh/v1/acme", "umh/v1/acme/a/_fl_v1/q/update")
	f.Add("acme", "acme/_fl_v1//state")
	f.Add("acme", "acme/_fl_v1/q/model/00/1")
	f.Add("", "/_fl_v1/state")
	f.Fuzz(func(t *testing.T, prefix, s string) {
		ns, _ := topics.New(prefix) // the zero namespace parses nothing
		got, err := ns.Parse(s)
		if err != nil {
			return
		}
		if back, err := ns.Build(got); err != nil || back != s {
			t.Fatalf("Parse(%q) = %+v, which builds %q, %v", s, got, back, err)
		}
	})
}

// Whatever is built parses to the same Topic, and is a topic that an MQTT
// filter can match.
func FuzzBuild(f *testing.F) {
	for _, c := range wellFormed {
		w := c.want
		f.Add("acme", w.Path, w.Task, uint8(w.Kind), w.Name, w.Member, w.Phase, w.Slot, w.Part)
	}
	f.Add("a", "_fl_v1", "state", uint8(8), "x", "y", "z", -1, 4000)
	f.Fuzz(func(t *testing.T, prefix, path, task string, kind uint8, name, member, phase string, slot, part int) {
		ns, _ := topics.New(prefix)
		in := topics.Topic{
			Path: path, Task: task, Kind: topics.Kind(kind), Name: name,
			Member: member, Phase: phase, Slot: slot, Part: part,
		}
		s, err := ns.Build(in)
		if err != nil {
			return
		}
		if back, err := ns.Parse(s); err != nil || back != in {
			t.Fatalf("Build(%+v) = %q, which parses to %+v, %v", in, s, back, err)
		}
		if !topics.Match("#", s) || !topics.Match(s, s) {
			t.Fatalf("%q is not a topic for MQTT", s)
		}
	})
}

// Containment is sound for any strings: what the needle matches, the allowed
// filter matches; and it is reflexive on filters.
func FuzzContains(f *testing.F) {
	f.Add("s/+", "s/#", "s/a/b")
	f.Add("+/#", "#", "a")
	f.Add("#", "$share/g/a", "a")
	f.Add("a/b", "a//b", "a/b")
	f.Fuzz(func(t *testing.T, allowed, needle, topic string) {
		if topics.Contains(allowed, needle) {
			if !topics.Contains(allowed, allowed) || !topics.Contains(needle, needle) {
				t.Fatalf("Contains(%q, %q), but one is not in itself", allowed, needle)
			}
			if topics.Match(needle, topic) && !topics.Match(allowed, topic) {
				t.Fatalf("Contains(%q, %q), but only the needle matches %q", allowed, needle, topic)
			}
		}
	})
}

// A member filter that parses is its own string, and chooses only paths that
// the grammar has.
func FuzzMemberFilter(f *testing.F) {
	f.Add("+/line-1", "berlin/line-1")
	f.Add("+", "+")
	f.Fuzz(func(t *testing.T, s, path string) {
		mf, err := topics.ParseMemberFilter(s)
		if err != nil {
			return
		}
		if mf.String() != s {
			t.Fatalf("%q became %q", s, mf)
		}
		if mf.Match(path) && (topics.CheckPath(path) != nil || !topics.Match(s, path)) {
			t.Fatalf("%q matches %q", s, path)
		}
	})
}

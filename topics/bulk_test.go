package topics_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/topics"
)

func withBulk(t testing.TB, s string, roots ...string) topics.Namespace {
	t.Helper()
	ns, err := namespace(t, s).WithBulk(roots...)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// Bulk is below its root, and nothing else is (T-21).
func TestBulk(t *testing.T) {
	t.Parallel()
	ns := withBulk(t, "acme", "heavy/acme", "other")
	o, err := ns.Owner("berlin", "q")
	if err != nil {
		t.Fatal(err)
	}
	if o, err = o.Below("heavy/acme"); err != nil {
		t.Fatal(err)
	}
	m, err := ns.Member("berlin/line-1", "q")
	if err != nil {
		t.Fatal(err)
	}
	if m, err = m.Below("other"); err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{
		o.Model(): "heavy/acme/berlin/_fl_v1/q/model", o.ModelPart(1, 7): "heavy/acme/berlin/_fl_v1/q/model/1/7",
		o.Order(): "acme/berlin/_fl_v1/q/order", o.ModelAt(): "acme/berlin/_fl_v1/q/model_at", o.Reply("x"): "acme/berlin/_fl_v1/q/reply/x",
		o.Node(): "acme/berlin", o.State(): "acme/berlin/_fl_v1/state",
		m.Update(): "other/berlin/line-1/_fl_v1/q/update", m.Part(): "other/berlin/line-1/_fl_v1/q/part",
		m.Need(): "acme/berlin/line-1/_fl_v1/q/need", m.Join(): "acme/berlin/line-1/_fl_v1/q/join", m.Status(): "acme/berlin/line-1/_fl_v1/q/status",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if back, err := o.Below(""); err != nil || back.Model() != "acme/berlin/_fl_v1/q/model" {
		t.Errorf("back in the tree: %q, %v", back.Model(), err)
	}
	for _, topic := range []string{
		"heavy/acme/berlin/_fl_v1/q/order", "other/_fl_v1/state", "other/a/_fl_v1/q/join", "heavy/_fl_v1/q/model", "third/a/_fl_v1/q/update",
	} {
		if got, err := ns.Parse(topic); err == nil {
			t.Errorf("%s: %+v", topic, got)
		}
	}
	got, err := ns.Parse(m.Part())
	if want := (topics.Topic{Bulk: "other", Path: "berlin/line-1", Task: "q", Kind: topics.Part}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := o.Below("third"); !errors.Is(err, topics.ErrTopic) {
		t.Errorf("a root that the namespace has not: %v", err)
	}
	f := filters(t, "+/line-1")[0]
	if got := ns.MemberFilterTopics(f, "q", topics.Update); !slices.Equal(got, []string{
		"acme/+/line-1/_fl_v1/q/update", "heavy/acme/+/line-1/_fl_v1/q/update", "other/+/line-1/_fl_v1/q/update",
	}) {
		t.Errorf("%q", got)
	}
	if got := ns.MemberFilterTopics(f, "q", topics.Join); !slices.Equal(got, []string{"acme/+/line-1/_fl_v1/q/join"}) {
		t.Errorf("%q", got)
	}
}

// A root that is in the tree, or above it, would take bulk for something else, or keep
// it where it was.
func TestBulkRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64)
	for _, roots := range [][]string{
		{"umh/v1/acme"}, {"umh/v1"}, {"umh"}, {"umh/v1/acme/bulk"}, {"a", "a/b"}, {"a", "a"}, {"_a"}, {"a//b"}, {"$a"}, {"a/+"},
	} {
		if _, err := namespace(t, "umh/v1/acme").WithBulk(roots...); !errors.Is(err, topics.ErrTopic) {
			t.Errorf("%q: %v", roots, err)
		}
	}
	if _, err := namespace(t, "umh/v1/acme").WithBulk("", "umh/v1/acme2", "umh/v2"); err != nil {
		t.Error(err)
	}
	ns := withBulk(t, "a", long+"/"+long)
	if _, err := ns.Build(topics.Topic{Kind: topics.Update, Bulk: long + "/" + long, Path: long + "/" + long, Task: "q"}); !errors.Is(err, topics.ErrTopic) {
		t.Errorf("a node of 259 bytes below the root: %v", err)
	}
}

// With bulk each party has one more write rule, and reads no more than the same things
// below the root.
func TestBulkRules(t *testing.T) {
	t.Parallel()
	plain, ns := namespace(t, "acme"), withBulk(t, "acme", "heavy")
	for _, c := range []struct {
		party topics.Party
		more  []string
	}{
		{topics.Party{Role: topics.RoleAggregator, Owner: "hq", Members: filters(t, "+/press")}, []string{
			"write heavy/hq/_fl_v1/#", "read heavy/hq/_fl_v1/+/model", "read heavy/hq/_fl_v1/+/model/+/+", "read heavy/hq/_fl_v1/+/released",
			"read heavy/hq/_fl_v1/+/released/+/+", "read heavy/hq/_fl_v1/+/canary", "read heavy/hq/_fl_v1/+/canary/+/+", "read heavy/+/press/_fl_v1/#",
		}},
		{topics.Party{Role: topics.RoleSite, Path: "berlin/press"}, []string{
			"write heavy/berlin/press/_fl_v1/#", "read heavy/_fl_v1/+/model", "read heavy/_fl_v1/+/model/+/+",
			"read heavy/_fl_v1/+/released", "read heavy/_fl_v1/+/released/+/+", "read heavy/_fl_v1/+/canary", "read heavy/_fl_v1/+/canary/+/+",
		}},
		{topics.Party{Role: topics.RoleOperator}, nil},
		{topics.Party{Role: topics.RoleWatcher}, nil},
	} {
		if got, want := render(ns.Rules(c.party)), render(plain.Rules(c.party))+strings.Join(append(c.more, ""), "\n"); got != want {
			t.Errorf("%v:\n%swant\n%s", c.party.Role, got, want)
		}
	}
}

// Whatever the names, bulk builds and parses to the same, is not seen by who reads all
// below the namespace, and what one party writes no other may.
func TestBulkRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := func(what string) string {
			return strings.Join(rapid.SliceOfN(levels(), 1, 2).Draw(t, what), "/")
		}
		ns, err := topics.New(name("namespace"))
		if err != nil {
			return
		}
		root := name("root")
		if ns, err = ns.WithBulk(root); err != nil {
			return
		}
		for _, k := range []topics.Kind{topics.Update, topics.Part, topics.Model, topics.ModelPart, topics.Order, topics.Join} {
			in := topics.Topic{Bulk: root, Path: name("path"), Task: "q", Kind: k}
			s, err := ns.Build(in)
			if !k.Bulk() && err == nil {
				t.Fatalf("%v below the root: %s", k, s)
			}
			if err != nil {
				continue
			}
			if back, err := ns.Parse(s); err != nil || back != in {
				t.Fatalf("%q parses to %+v, %v", s, back, err)
			}
			if topics.Match(ns.String()+"/#", s) {
				t.Fatalf("%q is below %q", s, ns)
			}
			for _, r := range ns.Rules(topics.Party{Role: topics.RoleSite, Path: in.Path + "x"}) {
				if r.Write && topics.Match(r.Filter, s) {
					t.Fatalf("%q is written by another site under %q", s, r.Filter)
				}
			}
		}
	})
}

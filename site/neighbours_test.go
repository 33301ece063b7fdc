package site

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/link"
)

// What is almost the same is named first.
func TestInstead(t *testing.T) {
	t.Parallel()
	on := func(node string, tasks ...string) neighbour { return neighbour{node: node, tasks: tasks} }
	many := []neighbour{on("a"), on("b"), on("c"), on("d"), on("e"), on("f"), on("g")}
	for _, c := range []struct {
		name string
		list []neighbour
		want string
	}{
		{"other case first", []neighbour{on("other", "t"), on("acne", "t"), on("Acme", "t")}, "Acme has t, acne has t, other has t"},
		{"near tasks first", []neighbour{on("acme", "axle", "boiler", "tt")}, "acme has tt, axle, boiler"},
		{"the node's own first", []neighbour{on("Acme", "t"), on("acme", "T")}, "acme has T, Acme has t"},
		{"off line last", []neighbour{{node: "acm", tasks: []string{"t"}, off: true}, on("zzz", "t")}, "zzz has t, acm has t (off line)"},
		{"none", []neighbour{on("acme")}, "acme has no task"},
		{"many", many, "a has no task, b has no task, c has no task, d has no task, e has no task and 2 more"},
	} {
		if got := instead(c.list, "acme", "t"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLikeness(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"acme", "acme", 0},
		{"acme", "ACME", 1},
		{"acme", "acne", 2},
		{"acme", "acm", 2},
		{"acme", "acmee", 2},
		{"acme", "Xacme", 2},
		{"acme", "came", 3},
		{"", "a", 2},
		{"", "", 0},
		{"acme", "acmexx", 3},
		{"ab", "ba", 3},
	} {
		if got := likeness(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// Only the presence of an aggregator is one, and no other names are repeated.
func TestNeighbourOf(t *testing.T) {
	t.Parallel()
	says := func(s State) []byte {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := State{Schema: StateSchema, Online: true, Roles: []string{"aggregator"}, Tasks: []string{"t", "Bad task", "roster"}}
	n, ok := neighbourOf(link.Message{Topic: "a/b/_fl_v1/state", Payload: says(good)})
	if !ok || n.node != "a/b" || strings.Join(n.tasks, " ") != "t" || n.off {
		t.Errorf("%+v %t", n, ok)
	}
	member := good
	member.Roles = []string{"site"}
	for name, m := range map[string]link.Message{
		"site": {Topic: "a/_fl_v1/state", Payload: says(member)}, "name": {Topic: "_a/_fl_v1/state", Payload: says(good)},
		"topic": {Topic: "a/_fl_v1/t/round", Payload: says(good)}, "cleared": {Topic: "a/_fl_v1/state"},
		"junk":  {Topic: "a/_fl_v1/state", Payload: []byte(`{"roles":7}`)},
		"large": {Topic: "a/_fl_v1/state", Payload: append(says(good), strings.Repeat(" ", maxState)...)},
	} {
		if n, ok := neighbourOf(m); ok {
			t.Errorf("%s: %+v", name, n)
		}
	}
}

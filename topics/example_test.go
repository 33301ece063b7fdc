package topics_test

import (
	"fmt"

	"github.com/fedmq/fedmq/topics"
)

func Example() {
	ns, err := topics.New("acme")
	if err != nil {
		panic(err)
	}
	site, err := ns.Member("berlin/line-1", "quality")
	if err != nil {
		panic(err)
	}
	fmt.Println(site.Update())

	t, err := ns.Parse(site.Update())
	fmt.Println(t.Path, t.Task, t.Kind, err)
	// Output:
	// acme/berlin/line-1/_fl_v1/quality/update
	// berlin/line-1 quality update <nil>
}

func ExampleNamespace_Owner() {
	ns, _ := topics.New("acme")
	o, err := ns.Owner("", "quality")
	if err != nil {
		panic(err)
	}
	fmt.Println(o.Order())
	fmt.Println(o.ModelPart(1, 7))
	fmt.Println(o.Reply("berlin/line-1"))
	// Output:
	// acme/_fl_v1/quality/order
	// acme/_fl_v1/quality/model/1/7
	// acme/_fl_v1/quality/reply/berlin/line-1
}

func ExampleNamespace_Build() {
	ns, _ := topics.New("umh/v1/acme")
	s, err := ns.Build(topics.Topic{Kind: topics.Released, Path: "berlin", Task: "quality"})
	fmt.Println(s, err)
	_, err = ns.Build(topics.Topic{Kind: topics.Order, Task: "state"})
	fmt.Println(err)
	// Output:
	// umh/v1/acme/berlin/_fl_v1/quality/released <nil>
	// topics: not in the grammar: task "state": want [a-z0-9-]{1,64}, not state or roster
}

func ExampleNamespace_Rules() {
	ns, _ := topics.New("acme")
	all, _ := topics.ParseMemberFilter("+/press")
	for _, r := range ns.Rules(topics.Party{Role: topics.RoleOperator, Members: []topics.MemberFilter{all}}) {
		fmt.Println(r.Write, r.Filter)
	}
	// Output:
	// true acme/_fl_v1/+/command
	// false acme/_fl_v1/state
	// false acme/_fl_v1/+/round
	// false acme/_fl_v1/+/kpi/#
	// false acme/_fl_v1/+/event
	// false acme/_fl_v1/+/record
	// false acme/_fl_v1/+/history
	// false acme/_fl_v1/+/statistics
	// false acme/_fl_v1/+/model_at
	// false acme/+/press/_fl_v1/state
	// false acme/+/press/_fl_v1/+/status
}

func ExampleParseMemberFilter() {
	ns, _ := topics.New("acme")
	f, err := topics.ParseMemberFilter("+/line-1")
	fmt.Println(f.Match("berlin/line-1"), f.Match("berlin/line-2"), err)
	fmt.Println(ns.MemberFilterTopic(f, "quality", topics.Update))
	// Output:
	// true false <nil>
	// acme/+/line-1/_fl_v1/quality/update
}

func ExampleContains() {
	fmt.Println(topics.Contains("acme/+/line-1/_fl_v1/#", "acme/berlin/line-1/_fl_v1/quality/update"))
	fmt.Println(topics.Contains("acme/+", "acme/#"))
	// Output:
	// true
	// false
}

func ExampleMatch() {
	fmt.Println(topics.Match("acme/+/_fl_v1/state", "acme/berlin/_fl_v1/state"))
	fmt.Println(topics.Match("#", "$SYS/broker/uptime"))
	// Output:
	// true
	// false
}

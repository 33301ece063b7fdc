package topics_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

func filters(t *testing.T, ss ...string) []topics.MemberFilter {
	t.Helper()
	var out []topics.MemberFilter
	for _, s := range ss {
		f, err := topics.ParseMemberFilter(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}

func render(rules []topics.Rule) string {
	var b strings.Builder
	for _, r := range rules {
		if r.Write {
			b.WriteString("write ")
		} else {
			b.WriteString("read ")
		}
		b.WriteString(r.Filter + "\n")
	}
	return b.String()
}

// The lists of T-15 in full: changing who may do what must show here.
func TestRules(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "acme")
	for _, c := range []struct {
		name  string
		party topics.Party
		want  []string
	}{
		{"aggregator", topics.Party{Role: topics.RoleAggregator, Members: filters(t, "+/press", "x", "+/press")}, []string{
			"write acme/_fl_v1/#",
			"read acme/_fl_v1/+/command", "read acme/_fl_v1/state", "read acme/_fl_v1/roster",
			"read acme/_fl_v1/+/order", "read acme/_fl_v1/+/model", "read acme/_fl_v1/+/model/+/+", "read acme/_fl_v1/+/record",
			"read acme/_fl_v1/+/released", "read acme/_fl_v1/+/released/+/+", "read acme/_fl_v1/+/canary", "read acme/_fl_v1/+/canary/+/+", "read acme/_fl_v1/+/secagg/#",
			"read acme/+/press/_fl_v1/#", "read acme/x/_fl_v1/#",
		}},
		{"site", topics.Party{Role: topics.RoleSite, Path: "berlin/press"}, []string{
			"write acme/berlin/press/_fl_v1/#",
			"read acme/_fl_v1/state", "read acme/_fl_v1/roster", "read acme/_fl_v1/roster/+/+",
			"read acme/_fl_v1/+/order", "read acme/_fl_v1/+/round", "read acme/_fl_v1/+/record",
			"read acme/_fl_v1/+/receipts", "read acme/_fl_v1/+/model", "read acme/_fl_v1/+/model/+/+",
			"read acme/_fl_v1/+/released", "read acme/_fl_v1/+/released/+/+", "read acme/_fl_v1/+/canary", "read acme/_fl_v1/+/canary/+/+",
			"read acme/_fl_v1/+/reply/berlin/press", "read acme/_fl_v1/+/secagg/inbox/berlin/press",
			"read acme/_fl_v1/+/secagg/peers", "read acme/_fl_v1/+/secagg/peers/+/+",
			"read acme/_fl_v1/+/secagg/survivors", "read acme/_fl_v1/+/secagg/survivors/+/+",
			"read acme/_fl_v1/+/secagg/acks", "read acme/_fl_v1/+/secagg/acks/+/+",
		}},
		{"watcher of an area", topics.Party{Role: topics.RoleWatcher, Owner: "berlin", Members: filters(t, "berlin/+")}, []string{
			"read acme/berlin/_fl_v1/state", "read acme/berlin/_fl_v1/+/round", "read acme/berlin/_fl_v1/+/kpi/#",
			"read acme/berlin/_fl_v1/+/event", "read acme/berlin/_fl_v1/+/record", "read acme/berlin/_fl_v1/+/history", "read acme/berlin/_fl_v1/+/statistics", "read acme/berlin/_fl_v1/+/model_at",
			"read acme/berlin/+/_fl_v1/state", "read acme/berlin/+/_fl_v1/+/status",
		}},
		{"operator", topics.Party{Role: topics.RoleOperator, Members: filters(t, "+")}, []string{
			"write acme/_fl_v1/+/command",
			"read acme/_fl_v1/state", "read acme/_fl_v1/+/round", "read acme/_fl_v1/+/kpi/#",
			"read acme/_fl_v1/+/event", "read acme/_fl_v1/+/record", "read acme/_fl_v1/+/history", "read acme/_fl_v1/+/statistics", "read acme/_fl_v1/+/model_at",
			"read acme/+/_fl_v1/state", "read acme/+/_fl_v1/+/status",
		}},
		{"consumer", topics.Party{Role: topics.RoleConsumer, Path: "berlin/press/scoring"}, []string{
			"write acme/berlin/press/scoring/_fl_v1/state", "write acme/berlin/press/scoring/_fl_v1/+/status",
			"read acme/berlin/press/scoring/_fl_v1/state",
			"read acme/_fl_v1/+/released", "read acme/_fl_v1/+/released/+/+", "read acme/_fl_v1/+/canary", "read acme/_fl_v1/+/canary/+/+",
		}},
		{"aggregator with consumers", topics.Party{Role: topics.RoleAggregator, Members: filters(t, "x"), Consumers: filters(t, "x/gw", "x/gw")}, []string{
			"write acme/_fl_v1/#",
			"read acme/_fl_v1/+/command", "read acme/_fl_v1/state", "read acme/_fl_v1/roster",
			"read acme/_fl_v1/+/order", "read acme/_fl_v1/+/model", "read acme/_fl_v1/+/model/+/+", "read acme/_fl_v1/+/record",
			"read acme/_fl_v1/+/released", "read acme/_fl_v1/+/released/+/+", "read acme/_fl_v1/+/canary", "read acme/_fl_v1/+/canary/+/+", "read acme/_fl_v1/+/secagg/#",
			"read acme/x/_fl_v1/#", "read acme/x/gw/_fl_v1/+/status",
		}},
		{"watcher of consumers", topics.Party{Role: topics.RoleWatcher, Owner: "berlin", Members: filters(t, "berlin/+"), Consumers: filters(t, "berlin/+/gw", "berlin/+")}, []string{
			"read acme/berlin/_fl_v1/state", "read acme/berlin/_fl_v1/+/round", "read acme/berlin/_fl_v1/+/kpi/#",
			"read acme/berlin/_fl_v1/+/event", "read acme/berlin/_fl_v1/+/record", "read acme/berlin/_fl_v1/+/history", "read acme/berlin/_fl_v1/+/statistics", "read acme/berlin/_fl_v1/+/model_at",
			"read acme/berlin/+/_fl_v1/state", "read acme/berlin/+/_fl_v1/+/status",
			"read acme/berlin/+/gw/_fl_v1/state", "read acme/berlin/+/gw/_fl_v1/+/status",
		}},
		{"watcher with a zero filter", topics.Party{Role: topics.RoleWatcher, Owner: "x", Members: []topics.MemberFilter{{}}}, []string{
			"read acme/x/_fl_v1/state", "read acme/x/_fl_v1/+/round", "read acme/x/_fl_v1/+/kpi/#",
			"read acme/x/_fl_v1/+/event", "read acme/x/_fl_v1/+/record", "read acme/x/_fl_v1/+/history", "read acme/x/_fl_v1/+/statistics", "read acme/x/_fl_v1/+/model_at",
		}},
		{"no role", topics.Party{Path: "a"}, nil},
		{"unknown role", topics.Party{Role: topics.RoleConsumer + 1, Path: "a"}, nil},
		{"site without path", topics.Party{Role: topics.RoleSite}, nil},
		{"consumer without path", topics.Party{Role: topics.RoleConsumer}, nil},
		{"site with a wildcard", topics.Party{Role: topics.RoleSite, Path: "+"}, nil},
		{"site that takes the owner's topics", topics.Party{Role: topics.RoleSite, Path: "_fl_v1"}, nil},
		{"aggregator with a wildcard", topics.Party{Role: topics.RoleAggregator, Owner: "#"}, nil},
		{"watcher with a bad owner", topics.Party{Role: topics.RoleWatcher, Owner: "a//b"}, nil},
	} {
		if got, want := render(ns.Rules(c.party)), strings.Join(append(c.want, ""), "\n"); got != want {
			t.Errorf("%s:\n%swant\n%s", c.name, got, want)
		}
	}
	if r := (topics.Namespace{}).Rules(topics.Party{Role: topics.RoleAggregator}); r != nil {
		t.Errorf("zero namespace has rules %v", r)
	}
}

func allows(rules []topics.Rule, write bool, topic string) bool {
	return slices.ContainsFunc(rules, func(r topics.Rule) bool {
		return r.Write == write && topics.Match(r.Filter, topic)
	})
}

// Who may write and read each well-formed topic, by kind. Members here are
// "a" and deeper; the site asked is "a".
func TestRulesByKind(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "acme")
	agg := ns.Rules(topics.Party{Role: topics.RoleAggregator, Members: filters(t, "+")})
	site := ns.Rules(topics.Party{Role: topics.RoleSite, Path: "a"})
	other := ns.Rules(topics.Party{Role: topics.RoleSite, Path: "b"})
	oper := ns.Rules(topics.Party{Role: topics.RoleOperator})
	watch := ns.Rules(topics.Party{Role: topics.RoleWatcher})
	consumer := ns.Rules(topics.Party{Role: topics.RoleConsumer, Path: "a"})
	for _, c := range wellFormed {
		if c.want.Path == "berlin" {
			continue // another owner's
		}
		k, owners := c.want.Kind, c.want.Path == ""
		check := func(who string, rules []topics.Rule, write, want bool) {
			if got := allows(rules, write, c.topic); got != want {
				t.Errorf("%s, write %v, %s: %v", who, write, c.topic, got)
			}
		}
		mine := c.want.Path == "a"
		check("aggregator", agg, true, owners) // one line per party: its whole node
		check("site", site, true, mine)
		check("another site", other, true, false)
		check("consumer", consumer, true, mine && (k == topics.State || k == topics.Status))
		check("consumer", consumer, false, owners && (k == topics.Released || k == topics.ReleasedPart || k == topics.Canary || k == topics.CanaryPart) || mine && k == topics.State)
		check("operator", oper, true, k == topics.Command)
		check("watcher", watch, true, false)
		check("watcher", watch, false, k.JSON() && k != topics.Command)
		check("operator", oper, false, k.JSON() && k != topics.Command)
		check("another site", other, false, owners && c.want.Member == "" &&
			k != topics.KPI && k != topics.Event && k != topics.History && k != topics.Statistics && k != topics.ModelAt && k != topics.Command)
		if mine {
			check("aggregator", agg, false, true)
			check("site", site, false, false)
		}
	}
	if !allows(site, false, "acme/_fl_v1/q/reply/a") || allows(site, false, "acme/_fl_v1/q/reply/b") {
		t.Error("a site reads its own replies only")
	}
}

// Without member filters a watcher sees members at every depth.
func TestWatcherDepths(t *testing.T) {
	t.Parallel()
	rules := namespace(t, "acme").Rules(topics.Party{Role: topics.RoleWatcher})
	for _, path := range []string{"a", "a/b", "a/b/c", "a/b/c/d", "a/b/c/d/e"} {
		for _, topic := range []string{"acme/" + path + "/_fl_v1/state", "acme/" + path + "/_fl_v1/q/status"} {
			if !allows(rules, false, topic) {
				t.Errorf("a watcher cannot read %s", topic)
			}
		}
		if allows(rules, false, "acme/"+path+"/_fl_v1/q/update") {
			t.Errorf("a watcher reads updates of %s", path)
		}
	}
}

func TestRole(t *testing.T) {
	t.Parallel()
	for r := topics.RoleAggregator; r <= topics.RoleConsumer; r++ {
		if got, err := topics.ParseRole(r.String()); err != nil || got != r {
			t.Errorf("ParseRole(%q) = %v, %v", r, got, err)
		}
	}
	for _, s := range []string{"", "role(0)", "Site"} {
		if r, err := topics.ParseRole(s); err == nil {
			t.Errorf("ParseRole(%q) = %v", s, r)
		}
	}
	if s := topics.Role(0).String(); s != "role(0)" {
		t.Errorf("zero role is %q", s)
	}
}

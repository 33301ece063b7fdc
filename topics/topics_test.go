package topics_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

func namespace(t testing.TB, s string) topics.Namespace {
	t.Helper()
	ns, err := topics.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// wellFormed lists every form of topic once (T-6), below the namespace acme.
var wellFormed = []struct {
	topic string
	want  topics.Topic
}{
	{"acme/_fl_v1/state", topics.Topic{Kind: topics.State}},
	{"acme/berlin/_fl_v1/state", topics.Topic{Kind: topics.State, Path: "berlin"}},
	{"acme/_fl_v1/roster", topics.Topic{Kind: topics.Roster}},
	{"acme/_fl_v1/roster/1/22", topics.Topic{Kind: topics.RosterPart, Slot: 1, Part: 22}},
	{"acme/_fl_v1/q-1/round", topics.Topic{Kind: topics.Round, Task: "q-1"}},
	{"acme/_fl_v1/q/kpi/rmse_test", topics.Topic{Kind: topics.KPI, Task: "q", Name: "rmse_test"}},
	{"acme/_fl_v1/q/event", topics.Topic{Kind: topics.Event, Task: "q"}},
	{"acme/_fl_v1/q/record", topics.Topic{Kind: topics.Record, Task: "q"}},
	{"acme/_fl_v1/q/history", topics.Topic{Kind: topics.History, Task: "q"}},
	{"acme/_fl_v1/q/statistics", topics.Topic{Kind: topics.Statistics, Task: "q"}},
	{"acme/berlin/_fl_v1/q/order", topics.Topic{Kind: topics.Order, Task: "q", Path: "berlin"}},
	{"acme/_fl_v1/q/model", topics.Topic{Kind: topics.Model, Task: "q"}},
	{"acme/_fl_v1/q/model_at", topics.Topic{Kind: topics.ModelAt, Task: "q"}},
	{"acme/_fl_v1/q/model/0/0", topics.Topic{Kind: topics.ModelPart, Task: "q"}},
	{"acme/_fl_v1/q/model/7/3999", topics.Topic{Kind: topics.ModelPart, Task: "q", Slot: 7, Part: 3999}},
	{"acme/_fl_v1/q/released", topics.Topic{Kind: topics.Released, Task: "q"}},
	{"acme/_fl_v1/q/released/1/2", topics.Topic{Kind: topics.ReleasedPart, Task: "q", Slot: 1, Part: 2}},
	{"acme/_fl_v1/q/canary", topics.Topic{Kind: topics.Canary, Task: "q"}},
	{"acme/_fl_v1/q/canary/1/2", topics.Topic{Kind: topics.CanaryPart, Task: "q", Slot: 1, Part: 2}},
	{"acme/_fl_v1/q/reply/berlin/line-1", topics.Topic{Kind: topics.Reply, Task: "q", Member: "berlin/line-1"}},
	{"acme/_fl_v1/q/receipts", topics.Topic{Kind: topics.Receipts, Task: "q"}},
	{"acme/_fl_v1/q/command", topics.Topic{Kind: topics.Command, Task: "q"}},
	{"acme/_fl_v1/q/secagg/peers", topics.Topic{Kind: topics.SecAgg, Task: "q", Phase: "peers"}},
	{"acme/_fl_v1/q/secagg/peers/0/1", topics.Topic{Kind: topics.SecAggPart, Task: "q", Phase: "peers", Part: 1}},
	{"acme/_fl_v1/q/secagg/inbox/0/1", topics.Topic{Kind: topics.SecAgg, Task: "q", Phase: "inbox", Member: "0/1"}},
	{"acme/a/_fl_v1/q/secagg/keys", topics.Topic{Kind: topics.SecAgg, Task: "q", Phase: "keys", Path: "a"}},
	{"acme/a/b/c/d/e/_fl_v1/q/status", topics.Topic{Kind: topics.Status, Task: "q", Path: "a/b/c/d/e"}},
	{"acme/a/_fl_v1/q/join", topics.Topic{Kind: topics.Join, Task: "q", Path: "a"}},
	{"acme/a/_fl_v1/q/update", topics.Topic{Kind: topics.Update, Task: "q", Path: "a"}},
	{"acme/a/_fl_v1/q/part", topics.Topic{Kind: topics.Part, Task: "q", Path: "a"}},
	{"acme/a/_fl_v1/q/need", topics.Topic{Kind: topics.Need, Task: "q", Path: "a"}},
}

func TestWellFormed(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "acme")
	seen := map[topics.Kind]bool{}
	for _, c := range wellFormed {
		seen[c.want.Kind] = true
		got, err := ns.Parse(c.topic)
		if err != nil || got != c.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", c.topic, got, err, c.want)
		}
		if s, err := ns.Build(c.want); err != nil || s != c.topic {
			t.Errorf("Build(%+v) = %q, %v; want %q", c.want, s, err, c.topic)
		}
	}
	for k := topics.State; k <= topics.Need; k++ {
		if !seen[k] {
			t.Errorf("kind %v (%d) has no example", k, k)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64)
	ns := namespace(t, "acme")
	for name, topic := range map[string]string{
		"empty":                        "",
		"namespace alone":              "acme",
		"marker alone":                 "acme/_fl_v1",
		"nothing after marker":         "acme/_fl_v1/",
		"other namespace":              "acmes/_fl_v1/state",
		"other contract":               "acme/_fl_v2/q/order",
		"task alone":                   "acme/_fl_v1/q",
		"empty task":                   "acme/_fl_v1//state",
		"task state":                   "acme/_fl_v1/state/order",
		"task roster":                  "acme/_fl_v1/roster/order",
		"task in capitals":             "acme/_fl_v1/Q/order",
		"task with underscore":         "acme/_fl_v1/q_1/order",
		"task of 65 bytes":             "acme/_fl_v1/" + long + "x/order",
		"unknown leaf":                 "acme/_fl_v1/q/orders",
		"trailing slash":               "acme/_fl_v1/state/",
		"trailing slash after leaf":    "acme/_fl_v1/q/order/",
		"order with more":              "acme/_fl_v1/q/order/1",
		"path level starts with _":     "acme/_x/_fl_v1/state",
		"path level starts with $":     "acme/$x/_fl_v1/state",
		"path level empty":             "acme//_fl_v1/state",
		"path of six levels":           "acme/a/b/c/d/e/f/_fl_v1/q/join",
		"path level of 65 bytes":       "acme/" + long + "x/_fl_v1/q/join",
		"node over 200 bytes":          "acme/" + long + "/" + long + "/" + long + "/x/_fl_v1/q/join",
		"path with a wildcard":         "acme/+/_fl_v1/q/join",
		"join of the namespace":        "acme/_fl_v1/q/join",
		"status of the namespace":      "acme/_fl_v1/q/status",
		"path with a tab":              "acme/a\tb/_fl_v1/q/join",
		"path that is not UTF-8":       "acme/m\xfcnchen/_fl_v1/q/join",
		"marker twice":                 "acme/_fl_v1/_fl_v1/q/order",
		"part alone":                   "acme/_fl_v1/q/model/1",
		"slot 8":                       "acme/_fl_v1/q/model/8/0",
		"part 4000":                    "acme/_fl_v1/q/model/0/4000",
		"part with leading zero":       "acme/_fl_v1/q/model/0/01",
		"part negative":                "acme/_fl_v1/q/model/0/-1",
		"part overflowing":             "acme/_fl_v1/q/model/0/18446744073709551616",
		"part with more":               "acme/_fl_v1/q/model/0/1/2",
		"kpi without name":             "acme/_fl_v1/q/kpi",
		"kpi name starts with _":       "acme/_fl_v1/q/kpi/_x",
		"kpi name of two levels":       "acme/_fl_v1/q/kpi/a/b",
		"reply to nobody":              "acme/_fl_v1/q/reply",
		"reply to six levels":          "acme/_fl_v1/q/reply/a/b/c/d/e/f",
		"secagg alone":                 "acme/_fl_v1/q/secagg",
		"secagg unknown phase":         "acme/_fl_v1/q/secagg/hello",
		"secagg member phase by owner": "acme/_fl_v1/q/secagg/keys",
		"secagg inbox of nobody":       "acme/_fl_v1/q/secagg/inbox",
		"secagg part of member phase":  "acme/a/_fl_v1/q/secagg/keys/0/1",
	} {
		if got, err := ns.Parse(topic); !errors.Is(err, topics.ErrTopic) {
			t.Errorf("%s: Parse(%q) = %+v, %v; want ErrTopic", name, topic, got, err)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "acme")
	for name, in := range map[string]topics.Topic{
		"no kind":                     {Task: "q"},
		"unknown kind":                {Kind: topics.Need + 1, Task: "q", Path: "a"},
		"task on state":               {Kind: topics.State, Task: "q"},
		"no task":                     {Kind: topics.Order},
		"name on order":               {Kind: topics.Order, Task: "q", Name: "x"},
		"slot on model":               {Kind: topics.Model, Task: "q", Slot: 1},
		"member on order":             {Kind: topics.Order, Task: "q", Member: "a"},
		"member on peers":             {Kind: topics.SecAgg, Task: "q", Phase: "peers", Member: "a"},
		"wildcard path":               {Kind: topics.Join, Task: "q", Path: "+"},
		"negative part":               {Kind: topics.ModelPart, Task: "q", Part: -1},
		"parts of the inbox":          {Kind: topics.SecAggPart, Task: "q", Phase: "inbox"},
		"reply over 200 bytes":        {Kind: topics.Reply, Task: "q", Member: strings.Repeat("abcdefg/", 24) + "abcdefg"},
		"reply that climbs to a node": {Kind: topics.Reply, Task: "q", Member: "../x"},
	} {
		if s, err := ns.Build(in); !errors.Is(err, topics.ErrTopic) {
			t.Errorf("%s: Build(%+v) = %q, %v; want ErrTopic", name, in, s, err)
		}
	}
	if s, err := (topics.Namespace{}).Build(topics.Topic{Kind: topics.State}); err == nil {
		t.Errorf("zero namespace built %q", s)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 64)
	for _, c := range []struct {
		name  string
		check func(string) error
		good  []string
		bad   []string
	}{
		{
			"namespace", func(s string) error { _, err := topics.New(s); return err },
			[]string{"acme", "umh/v1/acme", "A-b_c/9", "Werk Köln", "spBv1.0"},
			[]string{"", "/acme", "acme/", "a//b", "_acme", "$SYS", "a/+", "#", " a", "a\xff", "a/..", long + "/" + long + "/" + long + "/" + long},
		},
		{
			"path", topics.CheckPath,
			[]string{"a", "a/b/c/d/e", long, "9", "-", "a_"},
			[]string{"", "a/b/c/d/e/f", "a/", "/a", "a//b", "_a", "a/_b", "$a", "a/+", long + "x", "a\x00", "a/ b"},
		},
		{
			"task", topics.CheckTask,
			[]string{"q", "quality-2", "0", long, "states"},
			[]string{"", "state", "roster", "Quality", "q_1", "q/1", long + "x", "q+"},
		},
		{
			"name", topics.CheckName,
			[]string{"rmse", "RMSE_test-1", long},
			[]string{"", "_x", "a/b", "a.b", "é", long + "x", "#"},
		},
		{
			"member filter", func(s string) error { _, err := topics.ParseMemberFilter(s); return err },
			[]string{"+", "+/line-1", "a/b/c/d/e", "+/+/+/+/+", "+/Linie 1", "+/.x"},
			[]string{"", "#", "+/#", "a/+b", "+/+/+/+/+/+", "_a/+", "$a", "a/", "/", "+/", strings.Repeat(long+"/", 4) + "a"},
		},
	} {
		for _, s := range c.good {
			if err := c.check(s); err != nil {
				t.Errorf("%s %q refused: %v", c.name, s, err)
			}
		}
		for _, s := range c.bad {
			if err := c.check(s); !errors.Is(err, topics.ErrTopic) {
				t.Errorf("%s %q: error %v, want ErrTopic", c.name, s, err)
			}
		}
	}
}

// A node of exactly 200 bytes is the longest; the namespace counts.
func TestNodeLength(t *testing.T) {
	t.Parallel()
	path := strings.Repeat("a", 64) + "/" + strings.Repeat("b", 64) + "/" + strings.Repeat("c", 64) // 194 bytes
	if _, err := namespace(t, "acme5").Member(path, "q"); err != nil {
		t.Errorf("200 bytes refused: %v", err)
	}
	ns := namespace(t, "acme56")
	if _, err := ns.Member(path, "q"); err == nil {
		t.Error("Member took 201 bytes")
	}
	if _, err := ns.Owner(path, "q"); err == nil {
		t.Error("Owner took 201 bytes")
	}
	if _, err := ns.Build(topics.Topic{Kind: topics.Reply, Task: "q", Member: path}); err == nil {
		t.Error("Build took a reply to a node of 201 bytes")
	}
	if r := ns.Rules(topics.Party{Role: topics.RoleSite, Path: path}); r != nil {
		t.Errorf("Rules for a node of 201 bytes: %v", r)
	}
}

// Every method of Owner and Member gives the string that Build gives.
func TestMethodsAgreeWithBuild(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "umh/v1/acme")
	o, err := ns.Owner("berlin", "q")
	if err != nil {
		t.Fatal(err)
	}
	m, err := ns.Member("berlin/line-1", "q")
	if err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]topics.Topic{
		o.State():         {Kind: topics.State, Path: "berlin"},
		o.Roster():        {Kind: topics.Roster, Path: "berlin"},
		o.Round():         {Kind: topics.Round, Path: "berlin", Task: "q"},
		o.KPI("rmse"):     {Kind: topics.KPI, Path: "berlin", Task: "q", Name: "rmse"},
		o.Event():         {Kind: topics.Event, Path: "berlin", Task: "q"},
		o.Record():        {Kind: topics.Record, Path: "berlin", Task: "q"},
		o.Order():         {Kind: topics.Order, Path: "berlin", Task: "q"},
		o.ModelAt():       {Kind: topics.ModelAt, Path: "berlin", Task: "q"},
		o.Model():         {Kind: topics.Model, Path: "berlin", Task: "q"},
		o.ModelPart(1, 7): {Kind: topics.ModelPart, Path: "berlin", Task: "q", Slot: 1, Part: 7},
		o.Reply("b/l"):    {Kind: topics.Reply, Path: "berlin", Task: "q", Member: "b/l"},
		o.Receipts():      {Kind: topics.Receipts, Path: "berlin", Task: "q"},
		o.Command():       {Kind: topics.Command, Path: "berlin", Task: "q"},
		m.State():         {Kind: topics.State, Path: "berlin/line-1"},
		m.Status():        {Kind: topics.Status, Path: "berlin/line-1", Task: "q"},
		m.Join():          {Kind: topics.Join, Path: "berlin/line-1", Task: "q"},
		m.Update():        {Kind: topics.Update, Path: "berlin/line-1", Task: "q"},
		m.Part():          {Kind: topics.Part, Path: "berlin/line-1", Task: "q"},
		m.Need():          {Kind: topics.Need, Path: "berlin/line-1", Task: "q"},
	} {
		if s, err := ns.Build(want); err != nil || s != got {
			t.Errorf("method gives %q, Build(%+v) gives %q, %v", got, want, s, err)
		}
	}
	if o.Node() != "umh/v1/acme/berlin" || m.Node() != "umh/v1/acme/berlin/line-1" {
		t.Errorf("nodes %q and %q", o.Node(), m.Node())
	}
}

// Whatever name a member makes up, its KPI has a topic in the grammar.
func TestKPIName(t *testing.T) {
	t.Parallel()
	ns := namespace(t, "acme")
	o, err := ns.Owner("", "q")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"rmse":                   "rmse",
		"confusion.0.1":          "confusion-0-1",
		"_x":                     "-x",
		"":                       "-",
		"a/#":                    "a--",
		"\x00+":                  "--",
		strings.Repeat("é", 100): strings.Repeat("-", 64),
	} {
		topic := o.KPI(name)
		if got, err := ns.Parse(topic); err != nil || got.Name != want {
			t.Errorf("KPI(%q) = %q: %+v, %v; want name %q", name, topic, got, err, want)
		}
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for k := range topics.Kind(255) {
		known := k >= topics.State && k <= topics.Need
		if (k.String() != "") != known {
			t.Errorf("Kind(%d).String() = %q", k, k)
		}
		if !known && (k.JSON() || k.Retained() || k.OfMember()) {
			t.Errorf("Kind(%d) is none, but has properties", k)
		}
	}
	if topics.Update.Retained() || topics.Command.Retained() {
		t.Error("updates and commands are never retained (T-9)")
	}
	if !topics.Command.JSON() || topics.Order.JSON() || !topics.Join.OfMember() || topics.State.OfMember() {
		t.Error("properties of kinds")
	}
}

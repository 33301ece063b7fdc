package contract_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/fedmq/fedmq/topics"
)

// A channel is one line of T-6, or one of the topics in it.
type channel struct {
	name    string
	topic   topics.Topic // with the names of parameters as levels
	what    string
	address string
	qos     []int
	unused  bool // nothing of this version writes it
}

const nsParam, siteParam = "OWNER", "SITE"

// channels lists all topics, each made by package topics.
func channels(t *testing.T) []channel {
	t.Helper()
	ns, err := topics.New(nsParam)
	if err != nil {
		t.Fatal(err)
	}
	own := func(k topics.Kind, more ...topics.Topic) topics.Topic {
		at := topics.Topic{Kind: k, Task: "task"}
		for _, m := range more {
			at.Name, at.Member, at.Phase, at.Slot, at.Part = m.Name, m.Member, m.Phase, m.Slot, m.Part
		}
		return at
	}
	of := func(k topics.Kind) topics.Topic { return topics.Topic{Kind: k, Task: "task", Path: siteParam} }
	part := topics.Topic{Slot: 7, Part: 3999}
	list := []channel{
		{name: "ownerState", topic: topics.Topic{Kind: topics.State}, what: "presence of the aggregator, its Last Will"},
		{name: "roster", topic: topics.Topic{Kind: topics.Roster}, what: "who may speak, with keys", unused: true},
		{name: "rosterPart", topic: topics.Topic{Kind: topics.RosterPart, Slot: 7, Part: 3999}, what: "a part of the roster", unused: true},
		{name: "round", topic: own(topics.Round), what: "the current round"},
		{name: "kpi", topic: own(topics.KPI, topics.Topic{Name: "name"}), what: "one number of the last round"},
		{name: "event", topic: own(topics.Event), what: "one fact", qos: []int{0}},
		{name: "record", topic: own(topics.Record), what: "head of the last round's record"},
		{name: "history", topic: own(topics.History), what: "the course of the task's numbers, for who comes later"},
		{name: "statistics", topic: own(topics.Statistics), what: "what a task of statistics has gathered"},
		{name: "order", topic: own(topics.Order), what: "all a site must know to work"},
		{name: "model", topic: own(topics.Model), what: "the model, or its manifest"},
		{name: "modelAt", topic: own(topics.ModelAt), what: "where the model is, its version and hash, for people"},
		{name: "modelPart", topic: own(topics.ModelPart, part), what: "a part of the model"},
		{name: "released", topic: own(topics.Released), what: "the version approved for the lines, as model"},
		{name: "releasedPart", topic: own(topics.ReleasedPart, part), what: "a part of it"},
		{name: "canary", topic: own(topics.Canary), what: "a version that some nodes run before it is released to all, as model"},
		{name: "canaryPart", topic: own(topics.CanaryPart, part), what: "a part of it"},
		{name: "reply", topic: own(topics.Reply, topics.Topic{Member: "MEMBER"}), what: "an answer to one member", qos: []int{0, 1}},
		{name: "receipts", topic: own(topics.Receipts), what: "who has been accepted, as a bitmap", qos: []int{0}, unused: true},
		{name: "ownerSecagg", topic: own(topics.SecAgg, topics.Topic{Phase: "peers"}), what: "peers, survivors or acks of secure aggregation", unused: true},
		{name: "ownerSecaggPart", topic: own(topics.SecAggPart, topics.Topic{Phase: "peers", Slot: 7, Part: 3999}), what: "a part of these", unused: true},
		{name: "secaggInbox", topic: own(topics.SecAgg, topics.Topic{Phase: "inbox", Member: "MEMBER"}), what: "secure aggregation, to one member", unused: true},
		{name: "command", topic: own(topics.Command), what: "start, pause, pause_now, resume or stop; never retained"},
		{name: "siteState", topic: topics.Topic{Kind: topics.State, Path: siteParam}, what: "presence of the site, or of the consumer, its Last Will"},
		{name: "status", topic: of(topics.Status), what: "phase, progress and metrics of a site; of a consumer the version that it runs", qos: []int{0, 1}},
		{name: "join", topic: of(topics.Join), what: "the site takes part"},
		{name: "update", topic: of(topics.Update), what: "the update, its offer, or a decline"},
		{name: "part", topic: of(topics.Part), what: "a granted part of an update"},
		{name: "need", topic: of(topics.Need), what: "model parts that the site could not get"},
		{name: "siteSecagg", topic: topics.Topic{Kind: topics.SecAgg, Task: "task", Path: siteParam, Phase: "keys"}, what: "keys, shares, ack, unmask or complaint of secure aggregation", unused: true},
	}
	for i := range list {
		c := &list[i]
		if c.qos == nil {
			c.qos = []int{1}
		}
		if c.address, err = ns.Build(c.topic); err != nil {
			t.Fatal(err)
		}
		c.address = addresses.Replace(c.address)
	}
	return list
}

var addresses = strings.NewReplacer(
	nsParam+"/"+siteParam+"/", "{site}/", nsParam+"/", "{owner}/", "/task/", "/{task}/", "/7/3999", "/{slot}/{part}", "/MEMBER", "/{member}",
	"kpi/name", "kpi/{name}", "secagg/peers", "secagg/{ownerPhase}", "secagg/keys", "secagg/{sitePhase}",
)

var parameters = yaml.MapSlice{
	{Key: "owner", Value: yaml.MapSlice{{Key: "description", Value: "Node that owns the task: the namespace, or the namespace and a path of 1 to 5 levels below it. More than one level may stand here (T-1, T-3)."}}},
	{Key: "site", Value: yaml.MapSlice{{Key: "description", Value: "Node of a member: the namespace and its member path. At least two levels stand here (T-3)."}}},
	{Key: "member", Value: yaml.MapSlice{{Key: "description", Value: "Member path, 1 to 5 levels, without the namespace (T-10)."}}},
	{Key: "task", Value: yaml.MapSlice{{Key: "description", Value: "One federated model: [a-z0-9-]{1,64}, neither state nor roster (T-5)."}}},
	{Key: "name", Value: yaml.MapSlice{{Key: "description", Value: "Name of a number, one level (T-8)."}}},
	{Key: "slot", Value: yaml.MapSlice{{Key: "description", Value: "0 to 7 (T-7)."}}},
	{Key: "part", Value: yaml.MapSlice{{Key: "description", Value: "0 to 3999 (T-7)."}}},
	{Key: "ownerPhase", Value: yaml.MapSlice{{Key: "enum", Value: []string{"peers", "survivors", "acks"}}, {Key: "description", Value: "T-10"}}},
	{Key: "sitePhase", Value: yaml.MapSlice{{Key: "enum", Value: []string{"keys", "shares", "ack", "unmask", "complaint"}}, {Key: "description", Value: "T-10"}}},
}

// docs/ref/asyncapi.yaml is what package topics says.
func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	list := channels(t)
	chans, ops, msgs := yaml.MapSlice{}, yaml.MapSlice{}, yaml.MapSlice{}
	for _, c := range list {
		chans = append(chans, yaml.MapItem{Key: c.name, Value: c.channel()})
		ops = append(ops, c.operations(t)...)
		msgs = append(msgs, yaml.MapItem{Key: c.name, Value: c.message()})
	}
	doc := yaml.MapSlice{
		{Key: "asyncapi", Value: "3.0.0"},
		{Key: "info", Value: yaml.MapSlice{
			{Key: "title", Value: "fedmq"},
			{Key: "version", Value: "1.0.0"},
			{Key: "description", Value: "The topics of contract _fl_v1 (docs/spec/topics.md), who writes and who reads each. " +
				"Operations are named party_verb_channel, and send and receive are that party's. " +
				"Made by a test from package topics; do not edit."},
			{Key: "license", Value: yaml.MapSlice{{Key: "name", Value: "Apache-2.0"}}},
		}},
		{Key: "channels", Value: chans},
		{Key: "operations", Value: ops},
		{Key: "components", Value: yaml.MapSlice{{Key: "parameters", Value: parameters}, {Key: "messages", Value: msgs}}},
	}
	b, err := yaml.MarshalWithOptions(doc, yaml.Indent(2))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "asyncapi.yaml", b)
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

func ref(to string) yaml.MapSlice { return yaml.MapSlice{{Key: "$ref", Value: to}} }

func (c channel) channel() yaml.MapSlice {
	params := yaml.MapSlice{}
	for _, p := range parameter.FindAllStringSubmatch(c.address, -1) {
		params = append(params, yaml.MapItem{Key: p[1], Value: ref("#/components/parameters/" + p[1])})
	}
	what := c.what
	if c.unused {
		what += " (reserved: nothing of this version writes it)"
	}
	return yaml.MapSlice{
		{Key: "address", Value: c.address},
		{Key: "description", Value: what},
		{Key: "messages", Value: yaml.MapSlice{{Key: c.name, Value: ref("#/components/messages/" + c.name)}}},
		{Key: "parameters", Value: params},
	}
}

func (c channel) message() yaml.MapSlice {
	if c.topic.Kind.JSON() {
		return yaml.MapSlice{
			{Key: "contentType", Value: "application/json"},
			{Key: "payload", Value: yaml.MapSlice{
				{Key: "schemaFormat", Value: "application/schema+json;version=draft-2020-12"},
				{Key: "schema", Value: ref("./schema/" + c.topic.Kind.String() + ".json")},
			}},
		}
	}
	return yaml.MapSlice{
		{Key: "contentType", Value: "application/vnd.msgpack"},
		{Key: "description", Value: "docs/spec/wire.md; testdata/vectors has examples"},
	}
}

func (c channel) retained() bool {
	return c.topic.Kind.Retained() || c.name == "ownerSecagg" || c.name == "secaggInbox"
}

// operations says who may write and read the channel, by the rules of T-15.
func (c channel) operations(t *testing.T) (ops yaml.MapSlice) {
	t.Helper()
	ns, err := topics.New(nsParam)
	if err != nil {
		t.Fatal(err)
	}
	topic, err := ns.Build(c.topic)
	if err != nil {
		t.Fatal(err)
	}
	any1, err := topics.ParseMemberFilter("+")
	if err != nil {
		t.Fatal(err)
	}
	self := siteParam
	if c.topic.Member != "" {
		self = c.topic.Member
	}
	for _, role := range []topics.Role{topics.RoleAggregator, topics.RoleSite, topics.RoleOperator, topics.RoleWatcher, topics.RoleConsumer} {
		rules := ns.Rules(topics.Party{Role: role, Path: self, Members: []topics.MemberFilter{any1}})
		for _, write := range []bool{true, false} {
			may := slices.ContainsFunc(rules, func(r topics.Rule) bool { return r.Write == write && topics.Contains(r.Filter, topic) })
			if !may || write && role == topics.RoleAggregator && c.topic.Kind == topics.Command {
				continue // a command is the operators' to write; the aggregator only clears one
			}
			ops = append(ops, c.operation(role.String(), write))
		}
	}
	return ops
}

func (c channel) operation(party string, write bool) yaml.MapItem {
	verb := map[bool]string{true: "send", false: "receive"}[write]
	op := yaml.MapSlice{
		{Key: "action", Value: verb},
		{Key: "channel", Value: ref("#/channels/" + c.name)},
		{Key: "tags", Value: []yaml.MapSlice{{{Key: "name", Value: party}}}},
	}
	qos := c.qos[len(c.qos)-1]
	if !write {
		return yaml.MapItem{Key: party + "_" + verb + "_" + c.name, Value: op}
	}
	if len(c.qos) > 1 {
		op = slices.Insert(op, 1, yaml.MapItem{Key: "description", Value: "With QoS 0 where it may be lost."})
	}
	op = append(op, yaml.MapItem{Key: "bindings", Value: yaml.MapSlice{{Key: "mqtt", Value: yaml.MapSlice{
		{Key: "qos", Value: qos}, {Key: "retain", Value: c.retained()}, {Key: "bindingVersion", Value: "0.2.0"},
	}}}})
	return yaml.MapItem{Key: party + "_" + verb + "_" + c.name, Value: op}
}

// The channels are the topics of T-6 and T-10, retained and with the QoS that
// the page says.
func TestChannelsAreTheSpecs(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(root, "docs/spec/topics.md"))
	if err != nil {
		t.Fatal(err)
	}
	spec := strings.NewReplacer("`O/", "`{owner}/", "`M/", "`{site}/", "<task>", "{task}", "<name>", "{name}", "<slot>", "{slot}",
		"<i>", "{part}", "<member path>", "{member}", "<phase>", "{sitePhase}").Replace(string(b))
	row := regexp.MustCompile("(?m)^\\| (`\\{(?:owner|site)\\}/[^|]*) \\| (\\w+) \\| (JSON|msgpack)[^|]* \\| ([^|]+) \\| ([^|]+) \\|$")
	want, got := map[string]string{}, map[string]string{}
	for _, r := range row.FindAllStringSubmatch(spec, -1) {
		retained := r[4] == "yes" || r[4] == "for the round"
		head := ""
		for a := range strings.SplitSeq(strings.ReplaceAll(r[1], "`", ""), ", ") {
			if rest, ok := strings.CutPrefix(a, "..."); ok {
				a = head[:strings.LastIndex(head, "/")] + rest
			}
			head = a
			for _, a := range phases(a) {
				want[a] = said(r[3] == "JSON", retained, r[5])
			}
		}
	}
	for _, c := range channels(t) {
		qos := []string{"0", "1"}[c.qos[0]]
		if len(c.qos) > 1 {
			qos = "0, 1"
		}
		got[c.address] = said(c.topic.Kind.JSON(), c.retained(), qos)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- in topics.md, + in asyncapi.yaml:\n%s", diff)
	}
}

// phases spells out the owner's line of secure aggregation, which T-6 leaves
// to T-10.
func phases(address string) []string {
	if at, ok := strings.CutSuffix(address, "secagg/..."); ok {
		return []string{at + "secagg/{ownerPhase}", at + "secagg/{ownerPhase}/{slot}/{part}", at + "secagg/inbox/{member}"}
	}
	return []string{address}
}

func said(json, retained bool, qos string) string {
	return map[bool]string{true: "JSON", false: "msgpack"}[json] + map[bool]string{true: ", retained", false: ""}[retained] + ", QoS " + qos
}

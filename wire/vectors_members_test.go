package wire

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/model"
)

// withMembers puts members, name and value as written by hand, into the place of
// the empty map that ends a body.
func withMembers(body []byte, members ...[]byte) []byte {
	b := appendMap(slices.Clone(body[:len(body)-1]), len(members)/2)
	return append(b, bytes.Join(members, nil)...)
}

// memberCases are bodies with members: those that this version knows and does not
// use, each by itself, and those that are refused for what they are.
func memberCases(t *testing.T) []vector {
	t.Helper()
	var list []vector
	one := func(op, form, name, comment string, m Message) {
		list = append(list, vector{
			name: form + "-member-" + name, comment: comment + " This version does not use it.", op: op,
			expect: ReasonUnsupported, stage: StageDecode, data: m.appendTo(nil),
		})
	}
	hash := model.HashOf([]byte("vector"))
	order := func(name, comment string, change func(*Order)) {
		o := testOrder()
		change(&o)
		one(KindOrder, "order", name, comment, o)
	}
	judged := testOrder()
	judged.Thresholds = map[string]float64{"C": 2.5, "Z": 21, "z": 10}
	list = append(list, vector{name: "order-member-thresholds", comment: "An order that says what an update is judged by.", op: KindOrder, expect: accepted, data: encode(t, judged)})
	bulk := testOrder()
	bulk.Bulk = "bulk/acme"
	list = append(list, vector{name: "order-member-bulk", comment: "An order whose bulk travels below another topic.", op: KindOrder, expect: accepted, data: encode(t, bulk)})
	folded := testOrder()
	folded.Strategy = &OrderStrategy{Name: "trimmed_mean", Params: []byte(`{"beta":0.2}`)}
	list = append(list, vector{name: "order-member-strategy", comment: "An order that says how updates are folded.", op: KindOrder, expect: accepted, data: encode(t, folded)})
	late := testOrder()
	late.Late = 10
	list = append(list, vector{name: "order-member-late", comment: "An order under which training goes on when the next one comes.", op: KindOrder, expect: accepted, data: encode(t, late)})
	rolled := testOrder()
	rolled.Rolled = 7
	list = append(list, vector{name: "order-member-rolled", comment: "An order after a rollback.", op: KindOrder, expect: accepted, data: encode(t, rolled)})
	list = append(list, vector{name: "receipt-member-version", comment: "A receipt of an update that will be in a later model.", op: KindReply, expect: accepted, data: encode(t, Receipt{Round: 6, Attempt: 1, Content: hash, Version: 9})})
	list = append(append(list, contractCases(t, hash)...), encodingCases(t)...)
	order("cohort", "An order that lists its cohort.", func(o *Order) { o.Cohort = []string{"berlin/line-1", "paris/line-1"} })
	order("content", "An order whose base is named otherwise than by the tree of its blob.", func(o *Order) { o.ContentKind = "rows" })
	order("roster", "An order under a roster.", func(o *Order) { o.Roster = &Roster{Version: 3, Hash: hash} })
	order("secagg", "An order of secure aggregation.", func(o *Order) { o.SecAgg = testSecAgg() })
	join := func(name, comment string, change func(*Join)) {
		j := testJoin(t)
		change(&j)
		one(KindJoin, "join", name, comment, j)
	}
	list = append(list, localCases(t)...)
	join("policy", "A join under the site's policy.", func(j *Join) { j.Policy = hash })
	for name, m := range map[string]UpdateMembers{
		"content": {ContentKind: "rows"}, "policy": {Policy: hash},
	} {
		u, o := testUpdate(t), testOffer(t)
		u.UpdateMembers, o.UpdateMembers = m, m
		one(KindUpdate, "update", name, "An update with the member "+name+".", u)
		one(KindUpdate, "offer", name, "An offer with the member "+name+".", o)
	}
	for name, m := range map[string]ModelMembers{
		"content": {ContentKind: "rows"}, "state": {State: hash}, "strategy": {Strategy: "fedavg"},
	} {
		inline, parts := Model{Version: 7, Tensors: testModel(t)}, testManifest(t)
		inline.ModelMembers, parts.ModelMembers = m, m
		one(KindModel, "model", name, "A model with the member "+name+".", inline)
		one(KindModel, "manifest", name, "A manifest with the member "+name+".", parts)
	}
	welcome, settled := Welcome{Index: 3, FromRound: 7, FromAttempt: 1}, Settled{Round: 6, Content: hash, Verdict: "counted"}
	can, policy, stale, version := welcome, welcome, settled, settled
	can.Capabilities, policy.Policy, stale.Staleness, version.Version = []string{"secagg"}, hash, 2, 9
	one(KindReply, "welcome", "capabilities", "A welcome that says what the owner can do.", can)
	one(KindReply, "welcome", "policy", "A welcome under the owner's policy.", policy)
	one(KindReply, "settled", "staleness", "A settled of an update that came late.", stale)
	one(KindReply, "settled", "version", "A settled of an update that is in a later model.", version)
	return append(list, badMemberCases(t)...)
}

// contractCases have the contract of a task: its hash in an order, its text elsewhere.
func contractCases(t *testing.T, hash model.Hash) []vector {
	t.Helper()
	text := []byte(`{"inputs":[{"name":"flow","unit":"m3/h"}],"target":{"name":"y"},"net":{"output":"identity"}}`)
	order, join, inline, parts := testOrder(), testJoin(t), Model{Version: 7, Tensors: testModel(t)}, testManifest(t)
	order.Contract, join.Contract, inline.Contract, parts.Contract = hash, text, text, text
	var list []vector
	for _, v := range []struct {
		op, form string
		m        Message
	}{{KindOrder, "order", order}, {KindJoin, "join", join}, {KindModel, "model", inline}, {KindModel, "manifest", parts}} {
		list = append(list, vector{
			name: v.form + "-member-contract", comment: "The contract of the task, or of the site. Who does not know the member passes over it.",
			op: v.op, expect: accepted, data: encode(t, v.m),
		})
	}
	plain := encode(t, testJoin(t))
	for name, v := range map[string]string{"empty": "", "array": "[]", "broken": `{"inputs":`} {
		list = append(list, bodyCase(KindJoin, "member-contract-"+name, "A contract that is no JSON object.",
			withMembers(plain, appendStr(nil, "?contract"), appendStr(nil, v))))
	}
	return list
}

// localCases have what a strategy needs of local training, who can do that, and what is
// told of it.
func localCases(t *testing.T) []vector {
	t.Helper()
	o, j, u, parts := testOrder(), testJoin(t), testUpdate(t), testOffer(t)
	o.Local = &Local{Needs: []string{"mu", "steps"}, Mu: 0.01}
	j.Capabilities = []string{"mu", "sgd", "steps"}
	u.Scalars = map[string]float64{"lr": 0.01, "momentum": 0, "steps": 40}
	parts.Scalars = u.Scalars
	var list []vector
	for _, v := range []struct {
		op, name, comment string
		m                 Message
	}{
		{KindOrder, "order-member-local", "An order whose strategy needs something of local training.", o},
		{KindJoin, "join-member-capabilities", "A join that says what the site's trainer can.", j},
		{KindUpdate, "update-member-scalars", "An update that tells of its training; the content id is that of the blob.", u},
		{KindUpdate, "offer-member-scalars", "An offer likewise.", parts},
	} {
		list = append(list, vector{name: v.name, comment: v.comment, op: v.op, expect: accepted, data: encode(t, v.m)})
	}
	plain, name := encode(t, testOrder()), appendStr(nil, "local")
	needs := func(words ...string) []byte {
		b := appendArray(appendArray(nil, 2), len(words))
		for _, w := range words {
			b = appendStr(b, w)
		}
		return b
	}
	for what, value := range map[string][]byte{
		"none": appendFloat(needs(), 0), "order": appendFloat(needs("steps", "mu"), 0.01), "word": appendFloat(needs("Mu"), 0.01),
		"mu-negative": appendFloat(needs("mu"), -1), "mu-inf": appendFloat(needs("mu"), math.Inf(1)), "fields": append(appendArray(nil, 1), needs("mu")[1:]...),
	} {
		list = append(list, bodyCase(KindOrder, "member-local-"+what, "Needs that are none, or in no order, or a mu that is none.", withMembers(plain, name, value)))
	}
	return list
}

func testSecAgg() *SecAgg {
	return &SecAgg{
		Suite: 1, Ring: 32, Fraction: 20, Members: 5, Threshold: 3, MinMembers: 4, Bound: 8, MaxWeight: 1 << 20,
		DeadlinesMS: [5]uint64{10_000, 20_000, 60_000, 70_000, 80_000},
	}
}

func badMemberCases(t *testing.T) []vector {
	t.Helper()
	order, str := encode(t, testOrder()), func(s string) []byte { return appendStr(nil, s) }
	bad := func(name, comment string, members ...[]byte) vector {
		return bodyCase(KindOrder, "member-"+name, comment, withMembers(order, members...))
	}
	empty := appendArray(nil, 0)
	var many [][]byte
	for i := range maxMembers + 1 {
		many = append(many, str(fmt.Sprintf("?%02d", i)), empty)
	}
	secAgg := func(change func(*SecAgg)) []byte {
		s := testSecAgg()
		change(s)
		return secAggOf{&s}.put(nil)
	}
	skipped := vector{
		name: "order-member-skipped", comment: "A member that may be passed over is, whatever its value is.", op: KindOrder, expect: accepted,
		data: withMembers(order, str("?hint"), []byte("\x92\xc4\x02ab\x81\xa1k\x93\x01\xc0\xa1v")),
	}
	number := func(op, name string, body, names []byte, v float64) vector {
		b := withMembers(body, names, appendFloat(appendStr(appendArray(appendArray(nil, 1), 2), "x"), v))
		return vector{name: op + "-bad-member-" + name, comment: "A number that is not finite.", op: op, expect: ReasonNotFinite, stage: StageSchema, data: b}
	}
	return []vector{
		skipped,
		unsupported(KindOrder, "members-unknown", "Two members of a later version, one of this that is not used, and one that may be passed over: all but the last are named.",
			withMembers(order, str("?hint"), empty, str("content"), str("rows"), str("later"), empty, str("sooner"), []byte{0xc0})),
		unsupported(KindUpdate, "member-unknown", "A decline with a member of a later version.", withMembers(encode(t, Decline{Reason: "no_data"}), str("why"), []byte{1})),
		unsupported(KindNeed, "member-unknown", "A need with a member of a later version.",
			withMembers(encode(t, Need{Ranges: testRanges()}), str("why"), []byte{1})),
		bad("name", "A member whose name is no word.", str("Bulk"), str("x")),
		bad("name-long", "A member whose name has 33 bytes.", str("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), str("x")),
		bad("many", "65 members.", many...),
		bad("empty-text", "A text that says nothing: it is left out.", str("bulk"), str("")),
		bad("empty-list", "A list of nothing.", str("share"), empty),
		bad("empty-numbers", "Numbers of nothing.", str("thresholds"), empty),
		bad("zeros", "A hash of zeros.", str("?contract"), appendBin(nil, make([]byte, 32))),
		bad("control", "A text with a control character.", str("encoding"), str("q8\x1b")),
		bad("order", "A list that does not ascend.", str("keep"), []byte("\x92\xa1b\xa1a")),
		bad("twice", "A list that names one twice.", str("keep"), []byte("\x92\xa1a\xa1a")),
		bad("strategy", "Parameters that are no object.", str("strategy"), []byte("\x92\xa3avg\xa2[]")),
		bad("roster", "A roster of version 0.", str("roster"), appendBin([]byte("\x92\x00"), bytes.Repeat([]byte{1}, 32))),
		bad("secagg-t", "A threshold above the number of members.", str("secagg"), secAgg(func(s *SecAgg) { s.Threshold = 6 })),
		bad("secagg-few", "Secure aggregation of two.", str("secagg"), secAgg(func(s *SecAgg) { s.Members, s.Threshold, s.MinMembers = 2, 2, 2 })),
		bad("secagg-ring", "A ring of 16 bits.", str("secagg"), secAgg(func(s *SecAgg) { s.Ring = 16 })),
		bad("secagg-bound", "A bound that is not finite.", str("secagg"), secAgg(func(s *SecAgg) { s.Bound = math.NaN() })),
		number(KindOrder, "nan", order, str("thresholds"), math.NaN()),
		number(KindUpdate, "inf", encode(t, testUpdate(t)), str("scalars"), math.Inf(1)),
		bodyCase(KindReply, "settled-zero", "A staleness of 0: it is left out.", withMembers(encode(t, Settled{Round: 1, Verdict: "counted"}), str("staleness"), []byte{0})),
	}
}

// What this version does not use it does not send, and each member's name comes after
// the one before.
func TestUnusedIsNotSent(t *testing.T) {
	t.Parallel()
	for _, v := range memberCases(t) {
		if v.expect != ReasonUnsupported {
			continue
		}
		m, err := decodeBody(v.op, v.data)
		if m == nil || Unsupported(err) == "" {
			t.Errorf("%s: %v, %v", v.name, m, err)
			continue
		}
		list := m.members()
		if !slices.IsSortedFunc(list, func(a, b member) int { return bytes.Compare([]byte(a.name), []byte(b.name)) }) {
			t.Errorf("%s: the members of %T are not in order", v.name, m)
		}
		set := slices.ContainsFunc(list, func(x member) bool { return x.value.set() })
		if b, err := Encode(m); set && err == nil {
			t.Errorf("%s: sent as %x", v.name, b)
		}
	}
}

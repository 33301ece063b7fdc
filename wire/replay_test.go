package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

// A signed message of every kind counts in one place: played back elsewhere, or
// rewritten for elsewhere under its signature, it is refused by name. (What round and
// epoch it is for its receiver compares with its own, S-5, S-12.)
func TestSignedForOnePlace(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{KindOrder, KindModel, KindReply, KindJoin, KindUpdate, KindNeed} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			seed := byte(1)
			if info, _ := kindOf(kind); info.member {
				seed = 2
			}
			h := header(t, kind)
			good := seal(t, h, encode(t, bodyOf(t, kind)), testSigner(t, seed))
			home := &Opener{NS: testNamespace(t), Keys: testKeys(t), Owner: aggNode}
			if _, _, err := home.Open(h.Topic, good, Bound{MaxRound: 8}); err != nil {
				t.Fatalf("at home: %v", err)
			}
			for name, c := range places(t, kind, h) {
				_, _, err := c.opener.Open(c.topic, good, Bound{MaxRound: c.maxRound})
				if c.asIs == "" {
					if err != nil {
						t.Errorf("%s, as it is: %v", name, err)
					}
				} else {
					wantReason(t, name+", as it is", err, c.asIs)
				}
				if c.rewrite == nil {
					continue
				}
				_, _, err = c.opener.Open(c.topic, rewritten(t, good, c.rewrite), Bound{MaxRound: c.maxRound})
				wantReason(t, name+", rewritten", err, ReasonBadSignature)
			}
		})
	}
}

// place is where a message is played back.
type place struct {
	opener   *Opener
	topic    string
	maxRound uint64
	asIs     string        // why the message is refused there, "" if it is at home
	rewrite  func(*Header) // makes it fit there, but for the signature; nil: nothing says so
}

func places(t *testing.T, kind string, h Header) map[string]place {
	t.Helper()
	info, _ := kindOf(kind)
	home := &Opener{NS: testNamespace(t), Keys: testKeys(t), Owner: aggNode}
	moved := func(from, to string) string { return strings.Replace(h.Topic, from, to, 1) }
	foreign, err := topics.New("other")
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]place{
		"another task": {home, moved("/quality/", "/weld/"), 8, ReasonWrongTopic, func(h *Header) {
			h.Task, h.Topic = "weld", moved("/quality/", "/weld/")
		}},
		"another namespace": {&Opener{NS: foreign, Keys: testKeys(t), Owner: "other"}, moved("acme/", "other/"), 8, ReasonWrongTopic, func(h *Header) {
			h.Sender, h.Topic = strings.Replace(h.Sender, "acme", "other", 1), moved("acme/", "other/")
		}},
		"another epoch":   {home, h.Topic, 8, "", func(h *Header) { h.Epoch++ }},
		"another round":   {home, h.Topic, 8, "", func(h *Header) { h.Round++ }},
		"another attempt": {home, h.Topic, 8, "", func(h *Header) { h.Attempt++ }},
		"another base":    {home, h.Topic, 8, "", func(h *Header) { h.Base[0]++ }},
		"another time":    {home, h.Topic, 8, "", func(h *Header) { h.CreatedMS++ }},
	}
	if !info.member {
		if kind == KindReply {
			list["another member"] = place{home, moved("line-1", "line-2"), 8, ReasonWrongTopic, func(h *Header) { h.Topic = moved("line-1", "line-2") }}
		}
		keys, err := NewKeys(Key{Path: "plant", Role: topics.RoleAggregator, Public: public(1)})
		if err != nil {
			t.Fatal(err)
		}
		list["another owner"] = place{&Opener{NS: home.NS, Keys: keys}, moved("acme/", "acme/plant/"), 8, ReasonWrongTopic, func(h *Header) {
			h.Sender, h.Topic = "acme/plant", moved("acme/", "acme/plant/")
		}}
		return list
	}
	list["another owner"] = place{&Opener{NS: home.NS, Keys: home.Keys, Owner: "acme/plant"}, h.Topic, 8, ReasonBadSignature, nil}
	list["a round to come"] = place{home, h.Topic, 6, ReasonFutureRound, nil}
	keys, err := NewKeys(Key{Path: "berlin/line-2", Role: topics.RoleSite, Public: public(2)})
	if err != nil {
		t.Fatal(err)
	}
	list["another member"] = place{&Opener{NS: home.NS, Keys: keys, Owner: aggNode}, moved("line-1", "line-2"), 8, ReasonWrongTopic, func(h *Header) {
		h.Sender, h.Topic = "acme/berlin/line-2", moved("line-1", "line-2")
	}}
	return list
}

func bodyOf(t *testing.T, kind string) Message {
	t.Helper()
	switch kind {
	case KindOrder:
		return testOrder()
	case KindModel:
		return Model{Version: 7, Tensors: testModel(t)}
	case KindReply:
		return Welcome{Index: 3, FromRound: 7, FromAttempt: 1}
	case KindJoin:
		return testJoin(t)
	case KindUpdate:
		return testUpdate(t)
	}
	return Need{Blob: BlobKey{1}, Ranges: []Range{{First: 0, N: 1}}}
}

// rewritten is a message with another header under the old signature.
func rewritten(t *testing.T, payload []byte, change func(*Header)) []byte {
	t.Helper()
	p, h, err := parse(bytes.Clone(payload))
	if err != nil {
		t.Fatal(err)
	}
	change(&h)
	b := appendBin(appendUint(appendArray(nil, 4), Version), appendHeader(nil, h))
	return appendBin(appendBin(b, p.body), p.signature)
}

func wantReason(t *testing.T, what string, err error, reason string) {
	t.Helper()
	if r, ok := err.(*Refusal); !ok || r.Reason != reason { //nolint:errorlint // it is one
		t.Errorf("%s: %v, want %s", what, err, reason)
	}
}

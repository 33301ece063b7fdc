package federation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

func newNamespace(t *testing.T) topics.Namespace {
	t.Helper()
	ns, err := topics.New("acme")
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

// attacker is a member with a good key that wants to do harm.
type attacker struct {
	*siege
	*raw
	delta *model.Model
	blob  wire.Blob
}

// node is where a member writes.
func node(member, leaf string) string { return "acme/" + member + "/_fl_v1/" + task + "/" + leaf }

func owned(leaf string) string { return "acme/_fl_v1/" + task + "/" + leaf }

// seal signs a message as a member, with the key of another if need be.
func (a *attacker) seal(member, key, kind string, h wire.Header, m wire.Message) []byte {
	body, err := wire.Encode(m)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.sealBody(member, key, kind, h, body)
}

func (a *attacker) sealBody(member, key, kind string, h wire.Header, body []byte) []byte {
	h.Task, h.Kind, h.Sender, h.Topic, h.Owner, h.Origin = task, kind, "acme/"+member, node(member, kind), "acme", a.lifeOf()
	if h.Encoding == "" && kind == wire.KindUpdate {
		h.Encoding = wire.EncodingDense
	}
	var signer *wire.Signer
	if a.keys != nil {
		signer = a.keys.signer(a.t, key)
	}
	p, err := wire.Seal(h, body, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return p
}

// say sends one message now.
func (a *attacker) say(topic string, payload []byte) {
	a.publish(topic, payload, false)
	a.flush()
}

// join joins with a counter.
func (a *attacker) join(counter uint64, instance byte) {
	a.say(node("evil", "join"), a.seal("evil", "evil", wire.KindJoin, wire.Header{CreatedMS: counter}, wire.Join{Samples: 5, Instance: wire.Nonce{instance}}))
}

// offer is an offer of what the attacker has, which change may spoil.
func (a *attacker) offer(change func(*wire.Header, *wire.Offer)) []byte {
	h, o := a.now(), wire.Offer{Samples: 5, Schema: a.delta.Schema, Content: a.delta.ContentID(), Blob: a.blob}
	if change != nil {
		change(&h, &o)
	}
	return a.seal("evil", "evil", wire.KindUpdate, h, o)
}

// spoiled offers an update with a value in its first part, and sends that part.
func (a *attacker) spoiled(x float32) {
	m := a.delta.Clone()
	v := make([]float32, siegeWeights)
	v[7] = x
	if err := m.SetFloat32s("w", v); err != nil {
		a.t.Fatal(err)
	}
	blob, err := wire.NewBlob(m.Blob, siegePart)
	if err != nil {
		a.t.Fatal(err)
	}
	a.say(node("evil", "update"), a.offer(func(_ *wire.Header, o *wire.Offer) { o.Content, o.Blob = m.ContentID(), blob }))
	<-time.After(30 * time.Millisecond) // a part in the same breath as its offer is too early
	_, n := blob.Span(0)
	a.say(node("evil", "part"), wire.AppendPart(nil, wire.Part{Blob: blob.Key(), Count: uint32(blob.Count()), Data: m.Blob[:n]}))
}

// TestHostile: a peer that says everything it should not, as often as it can, to an
// aggregator that has no broker's access list to hide behind. Each refusal is shown
// with its reason, rounds go on, and memory stays where it was.
func TestHostile(t *testing.T) {
	hostile(t)
	s := besiege(t, true)
	a := &attacker{siege: s, raw: s.raw("evil", "", ""), delta: model.New(siegeSchema(t))}
	defer a.raw.close()
	var err error
	if a.blob, err = wire.NewBlob(a.delta.Blob, siegePart); err != nil {
		t.Fatal(err)
	}
	a.join(1, 1)
	s.goesOn("its join", 2)
	calm := s.moment["its join"]

	for _, step := range []struct {
		name string
		do   func()
	}{
		{"every reason", a.everyReason},
		{"bombs", a.bombs},
		{"10,000 joins", a.joins},
		{"offers", a.offers},
		{"parts", a.parts},
		{"grants of others", a.grants},
		{"needs", a.needs},
		{"replays", a.replays},
		{"retained messages and Wills", a.retained},
		{"commands", a.commands},
		{"oversize", a.oversize},
	} {
		began := time.Now()
		step.do()
		t.Logf("%-32s sent in %.2f s", step.name, time.Since(began).Seconds())
		s.goesOn(step.name, 2)
	}
	end := s.usage()
	if grown := (end.rssKB - calm.rssKB) >> 10; grown >= 64 {
		t.Errorf("the aggregator's memory grew by %d MB, want less than 64", grown)
	}
	began, before := time.Now(), s.usage()
	s.goesOn("all of it", 3)
	if busy := float64(s.usage().cpu-before.cpu) / float64(time.Since(began)); busy > 0.7 && before.cpu > 0 {
		t.Errorf("%.0f %% of a processor after the attack", 100*busy)
	}
}

// everyReason provokes each refusal of a member that there is, but for those of
// attempts that lapsed, conflicts, guards and budgets.
func (a *attacker) everyReason() {
	tampered := a.offer(nil)
	tampered[len(tampered)-1] ^= 1
	other, err := model.NewSchema(model.Spec{Name: "v", DType: model.F32, Shape: []int{siegeWeights}})
	if err != nil {
		a.t.Fatal(err)
	}
	h := a.now()
	h.Encoding = wire.EncodingDenseZstd
	bomb := a.sealBody("evil", "evil", wire.KindUpdate, h, make([]byte, 64<<20))
	stranger := a.seal("stranger", "stranger", wire.KindJoin, wire.Header{CreatedMS: 1}, wire.Join{Samples: 5})
	old := a.seal("evil", "evil", wire.KindJoin, wire.Header{CreatedMS: 1}, wire.Join{Samples: 6, Instance: wire.Nonce{1}})
	update := func(p []byte) { a.say(node("evil", "update"), p) }
	for _, x := range []struct {
		want verdict.Reason
		do   func()
	}{
		{verdict.Malformed, func() { update([]byte("\xdd\xff\xff\xff\xff")) }},
		{verdict.TooLarge, func() { update(bomb) }},
		{verdict.UnknownMember, func() { a.say(node("stranger", "join"), stranger) }},
		{verdict.BadSignature, func() { update(tampered) }},
		{verdict.WrongTopic, func() { a.say(node("a", "update"), a.offer(nil)) }},
		{verdict.FutureRound, func() { update(a.offer(func(h *wire.Header, _ *wire.Offer) { h.Round += 9 })) }},
		{verdict.NotInCohort, func() { update(a.offer(nil)) }}, // it was silent for too long
		{verdict.WrongBase, func() { update(a.offer(func(h *wire.Header, _ *wire.Offer) { h.Base[3]++ })) }},
		{verdict.SchemaMismatch, func() { update(a.offer(func(_ *wire.Header, o *wire.Offer) { o.Schema = other })) }},
		{verdict.NotFinite, func() { a.spoiled(float32(math.NaN())) }},
		{verdict.OutOfRange, func() { a.spoiled(1e9) }},
		{verdict.OldCounter, func() { a.say(node("evil", "join"), old) }},
	} {
		before := a.refusals()[x.want.String()]
		for try := 0; ; try++ { // a round may end between the order and the answer to it, and who is silent is not in the next
			x.do()
			if a.within(100*time.Millisecond, func() bool { return a.refusals()[x.want.String()] > before }) {
				break
			}
			if try == 200 {
				a.t.Errorf("%s is shown nowhere; shown are %v", x.want, a.refusals())
				break
			}
		}
	}
}

func (a *attacker) within(d time.Duration, ok func() bool) bool {
	for end := time.Now().Add(d); !ok(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// bombs are short and claim to be long, deep, or both.
func (a *attacker) bombs() {
	h := a.now()
	h.Encoding = wire.EncodingDenseZstd
	zstd := a.sealBody("evil", "evil", wire.KindUpdate, h, make([]byte, 200<<20))
	for i, b := range [][]byte{
		{0xdd, 0xff, 0xff, 0xff, 0xff},                     // an array of 4 G
		{0xc6, 0xff, 0xff, 0xff, 0xff},                     // 4 GiB of binary
		{0x94, 0x01, 0xc6, 0x7f, 0xff, 0xff, 0xff},         // a header of 2 GiB
		bytes.Repeat([]byte{0x91}, 900_000),                // 900,000 deep
		bytes.Repeat([]byte{0xdf, 0, 0, 0, 1}, 100_000),    // maps in maps
		bytes.Repeat([]byte{0xc9, 0xff, 0xff, 0xff}, 9000), // extensions
		zstd,
		bytes.Repeat(zstd, 20),
	} {
		for n := range 200 {
			leaf := []string{"update", "join", "need", "part"}[n%4]
			a.publish(node("evil", leaf), b, false)
			a.publish(node(fmt.Sprintf("m%d", n), leaf), b, false)
			if len(b) > 100_000 && n > 40 {
				break
			}
		}
		a.flush()
		_ = i
	}
}

// joins are 10,000 of strangers, and 10,000 of the attacker with higher and higher
// counters and ever new instances.
func (a *attacker) joins() {
	stranger := a.seal("x", "x", wire.KindJoin, wire.Header{CreatedMS: 1}, wire.Join{Samples: 5})
	before := a.refusals()
	for i := range 10_000 {
		a.publish(node(fmt.Sprintf("x%d", i), "join"), stranger, false)
	}
	a.flush()
	a.wait("strangers are counted", func() bool {
		r := a.refusals()
		return r["unknown_member"]+r["wrong_topic"]+r["bad_signature"] > before["unknown_member"]+before["wrong_topic"]+before["bad_signature"]+1000
	})
	for i := range 10_000 {
		a.publish(node("evil", "join"), a.seal("evil", "evil", wire.KindJoin, wire.Header{CreatedMS: uint64(10 + i)},
			wire.Join{Samples: math.MaxUint64 >> 1, Instance: wire.Nonce{byte(i), byte(i >> 8), 1}, SeenRound: 1 << 40}), false)
	}
	a.flush()
}

// offers are 5,000 of other contents each, whose hashes take the most room.
func (a *attacker) offers() {
	for i := range 5_000 {
		a.publish(node("evil", "update"), a.offer(func(_ *wire.Header, o *wire.Offer) {
			o.Content[0], o.Content[1] = byte(i), byte(i>>8)
			o.Blob.Hashes = append([]byte{}, o.Blob.Hashes...)
			o.Blob.Hashes[0]++
		}), false)
	}
	a.flush()
}

// parts are 50,000 of nothing, of the attacker's own offer, and of others'.
func (a *attacker) parts() {
	a.say(node("evil", "update"), a.offer(nil))
	data := make([]byte, siegePart-wire.PartOverhead)
	for i := range 50_000 {
		p := wire.Part{Blob: a.blob.Key(), Index: uint32(i % a.blob.Count()), Count: uint32(a.blob.Count()), Data: data}
		member := "evil"
		switch i % 5 {
		case 1:
			p.Blob[0] ^= byte(i)
		case 2:
			p.Count, p.Index = 4000, 3999
		case 3:
			member = "a"
		case 4:
			p.Data = data[:i%len(data)]
		}
		a.publish(node(member, "part"), wire.AppendPart(nil, p), false)
	}
	a.flush()
}

// grants are the aggregator's answers to others, played again and on wrong topics.
func (a *attacker) grants() {
	said := a.said("reply/")
	if len(said) == 0 {
		a.t.Error("no answers were heard")
	}
	for range 20 {
		for _, p := range said {
			for _, m := range []string{"a", "b"} {
				a.publish(owned("reply/"+m), p, false)
			}
		}
	}
	for _, m := range []string{"a", "b"} {
		forged := a.seal("evil", "evil", wire.KindUpdate, a.now(), wire.Decline{Reason: "no_data"})
		a.publish(owned("reply/"+m), forged, false)
	}
	a.flush()
}

// needs are 10,000 for all parts of the model.
func (a *attacker) needs() {
	base, err := wire.NewBlob(make([]byte, siegeWeights*4), siegePart)
	if err != nil {
		a.t.Fatal(err)
	}
	for i := range 10_000 {
		a.publish(node("evil", "need"), a.seal("evil", "evil", wire.KindNeed, wire.Header{Epoch: 1, Round: a.now().Round, CreatedMS: uint64(i)},
			wire.Need{Blob: base.Key(), Ranges: []wire.Range{{First: 0, N: uint32(base.Count())}}}), false)
	}
	a.flush()
}

// replays are an honest site's own messages, each a thousand times, on its topic
// and on the attacker's.
func (a *attacker) replays() {
	said := a.said(node("a", "update"))
	if len(said) == 0 {
		a.t.Error("no update of a was heard")
	}
	for range 1000 {
		p := said[len(said)-1]
		a.publish(node("a", "update"), p, false)
		a.publish(node("evil", "update"), p, false)
		a.publish(node("a", "update"), said[0], false)
	}
	a.flush()
}

// retained is what the broker keeps: junk on every topic of the owner, and of
// members, an old order, and a Will that is not the attacker's own.
func (a *attacker) retained() {
	a.mu.Lock()
	old := slices.Clone(a.sealed)
	a.mu.Unlock()
	a.goesOn("an order is kept", 2)
	for i := range 300 {
		for _, leaf := range []string{"order", "model", "record", "round", "kpi/rmse", "model/0/0", "model/1/3"} {
			a.publish(owned(leaf), bytes.Repeat([]byte{byte(i)}, 100+i), true)
		}
		a.publish(owned("order"), old, true)
		a.publish(owned("model"), nil, true)
		a.publish(node(fmt.Sprintf("y%d", i), "state"), []byte(`{"online":true}`), true)
	}
	a.publish("acme/_fl_v1/state", []byte(`{"schema":"fedmq.state.v1","online":false,"epoch":99999}`), true)
	a.flush()
	will := a.siege.raw("evil-will", "acme/_fl_v1/state", `{"schema":"fedmq.state.v1","online":false}`)
	will.close() // without DISCONNECT
}

// commands are unsigned, retained, repeated, and for every round there could be.
func (a *attacker) commands() {
	for i := range 1000 {
		b, err := json.Marshal(map[string]any{"schema": "fedmq.command.v1", "id": fmt.Sprint(i), "command": "stop", "at_round": a.now().Round + uint64(i), "timestamp_ms": 1})
		if err != nil {
			a.t.Fatal(err)
		}
		a.publish(owned("command"), b, i%2 == 0)
	}
	a.publish(owned("command"), nil, true)
	a.flush()
}

// oversize is more than the aggregator takes, which this broker lets through, and
// more than the broker takes, which ends the attacker's own connection.
func (a *attacker) oversize() {
	for i := range 50 {
		a.publish(node("evil", "update"), make([]byte, 2<<20+i), false)
		a.publish(node("b", "part"), make([]byte, 2<<20+i), false)
		a.flush()
	}
	r := a.siege.raw("evil-large", "", "")
	r.packet(0x30, text(node("evil", "update")), make([]byte, 9<<20))
	r.close()
	r = a.siege.raw("evil-claim", "", "")
	_, _ = r.w.Write([]byte{0x30, 0xff, 0xff, 0xff, 0x7f})
	r.close()
	if _, err := os.Stat("/proc/self/status"); err != nil {
		a.t.Log("no /proc: memory is not measured")
	}
}

// TestHostileCrowd: without keys anybody may join. 10,000 do, and say nothing more:
// rounds go on without them, and cost what the members cost.
func TestHostileCrowd(t *testing.T) {
	hostile(t)
	s := besiege(t, false)
	a := &attacker{siege: s, raw: s.raw("crowd", "", "")}
	defer a.raw.close()
	s.goesOn("calm", 1)
	for i := range 10_000 {
		m := fmt.Sprintf("crowd-%d", i)
		a.publish(node(m, "join"), a.seal(m, "", wire.KindJoin, wire.Header{CreatedMS: 1}, wire.Join{Samples: 5, Instance: wire.Nonce{1}}), false)
		if i%200 == 199 { // a broker drops what a subscriber does not take in time
			a.flush()
			<-time.After(50 * time.Millisecond)
		}
	}
	s.wait("many of them are members", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.view.Members > 2_000 })
	s.goesOn("thousands of members", 5)
	most := int64(64<<10 + 16*s.members())
	if grown := s.moment["thousands of members"].rssKB - s.moment["calm"].rssKB; grown > most {
		t.Errorf("memory grew by %d MB, want at most %d", grown>>10, most>>10)
	}
}

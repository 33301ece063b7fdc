package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/model"
)

var (
	nonces = rapid.Custom(func(t *rapid.T) (n Nonce) {
		copy(n[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "nonce"))
		return n
	})
	digests = rapid.Custom(func(t *rapid.T) (d model.Hash) {
		copy(d[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		return d
	})
	words  = rapid.StringMatching(`[a-z0-9_-]{1,64}`)
	texts  = rapid.StringMatching(`[ -~äß→]{0,20}`)
	models = rapid.Custom(func(t *rapid.T) *model.Model {
		specs := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) model.Spec {
			return model.Spec{
				Name:  rapid.StringMatching(`[a-zA-Z0-9._é]{1,12}`).Draw(t, "name"),
				DType: model.DType(rapid.IntRange(0, 4).Draw(t, "dtype")),
				Shape: rapid.SliceOfN(rapid.IntRange(0, 3), 0, 4).Draw(t, "shape"),
				Rule:  model.Rule(rapid.IntRange(0, 2).Draw(t, "rule")),
			}
		}), 1, 20, func(s model.Spec) string { return s.Name }).Draw(t, "specs")
		schema, err := model.NewSchema(specs...)
		if err != nil {
			t.Fatal(err)
		}
		m := model.New(schema)
		copy(m.Blob, rapid.SliceOfN(rapid.Byte(), len(m.Blob), len(m.Blob)).Draw(t, "blob"))
		return m
	})
	metrics = rapid.MapOfN(rapid.StringMatching(`[a-z.0-9]{1,30}`),
		rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64), 0, 20)
	u64 = rapid.Uint64()
	u32 = rapid.Uint32()
)

func drawOrder(t *rapid.T) Order {
	return Order{
		Work:      rapid.SampledFrom([]string{WorkTrain, WorkEvaluate, WorkStatistics, WorkInit, WorkNone}).Draw(t, "work"),
		ValidFrom: u32.Draw(t, "valid_from"), DeadlineMS: u64.Draw(t, "deadline") % (maxMS + 1), PaceMS: u64.Draw(t, "pace") % (maxMS + 1),
		HeartbeatMS: u64.Draw(t, "heartbeat") % (maxMS + 1), GridB: rapid.IntRange(-maxGrid, maxGrid).Draw(t, "b"), GridW: rapid.IntRange(0, 62).Draw(t, "w"),
		Cap: u64.Draw(t, "cap"), Weights: words.Draw(t, "weights"), Seed: u64.Draw(t, "seed"),
		Settings: json.RawMessage(`{"s":` + string(must(json.Marshal(texts.Draw(t, "settings")))) + `}`),
		Instance: nonces.Draw(t, "instance"), CohortSize: u32.Draw(t, "n"), CohortHash: digests.Draw(t, "cohort"),
		SampleSeed: nonces.Draw(t, "sample_seed"), SampleThreshold: u64.Draw(t, "threshold"),
		PartSize: rapid.Uint32Range(MinPart, MaxPart).Draw(t, "part"),
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

var messages = rapid.Custom(func(t *rapid.T) Message {
	content := digests.Draw(t, "content")
	switch rapid.IntRange(0, 15).Draw(t, "kind") {
	case 0:
		return drawOrder(t)
	case 1:
		return Model{Version: u64.Draw(t, "version"), Tensors: models.Draw(t, "model")}
	case 2:
		return Join{
			Samples: u64.Draw(t, "samples"), Schema: digests.Draw(t, "schema"), Instance: nonces.Draw(t, "instance"),
			SeenEpoch: u64.Draw(t, "epoch"), SeenRound: u64.Draw(t, "round"), SeenAttempt: u32.Draw(t, "attempt"), Agent: texts.Draw(t, "agent"),
			Disk: nonces.Draw(t, "disk"), Host: texts.Draw(t, "host"),
		}
	case 3:
		return Update{Samples: u64.Draw(t, "samples"), Metrics: metrics.Draw(t, "metrics"), Tensors: models.Draw(t, "delta")}
	case 4:
		return Decline{Reason: words.Draw(t, "reason"), Detail: texts.Draw(t, "detail")}
	case 5:
		return Welcome{Index: u32.Draw(t, "index"), FromRound: u64.Draw(t, "round"), FromAttempt: u32.Draw(t, "attempt")}
	case 6:
		return Receipt{Round: u64.Draw(t, "round"), Attempt: u32.Draw(t, "attempt"), Content: content}
	case 7:
		return Settled{Round: u64.Draw(t, "round"), Content: content, Verdict: words.Draw(t, "verdict")}
	case 8:
		return RefusalReply{
			Round: u64.Draw(t, "round"), Attempt: u32.Draw(t, "attempt"), Content: content, Reason: words.Draw(t, "reason"),
			Detail: texts.Draw(t, "detail"), Counter: u64.Draw(t, "counter"),
		}
	case 9:
		return Superseded{Instance: nonces.Draw(t, "instance")}
	case 15:
		return Standby{Instance: nonces.Draw(t, "instance"), WaitMS: u64.Draw(t, "wait") % (maxMS + 1), Host: texts.Draw(t, "host")}
	case 10:
		m := parted.Draw(t, "model")
		return Manifest{Version: u64.Draw(t, "version"), Schema: m.Schema, Slot: rapid.Uint32Max(7).Draw(t, "slot"), Blob: drawBlob(t, m)}
	case 11:
		m := parted.Draw(t, "delta")
		return Offer{Samples: u64.Draw(t, "samples"), Metrics: metrics.Draw(t, "metrics"), Schema: m.Schema, Content: content, Blob: drawBlob(t, m)}
	case 12:
		return Need{Blob: BlobKey(nonces.Draw(t, "blob")), Ranges: drawRanges(t)}
	case 13:
		return Grant{
			Round: u64.Draw(t, "round"), Attempt: u32.Draw(t, "attempt"), Seq: u64.Draw(t, "seq"),
			Blob: BlobKey(nonces.Draw(t, "blob")), Ranges: drawRanges(t),
		}
	default:
		return Wait{Round: u64.Draw(t, "round"), Attempt: u32.Draw(t, "attempt"), Content: content, Ahead: u32.Draw(t, "ahead")}
	}
})

// parted draws models that have something to cut.
var parted = models.Filter(func(m *model.Model) bool { return len(m.Blob) > 0 })

func drawBlob(t *rapid.T, m *model.Model) Blob {
	b, err := NewBlob(m.Blob, rapid.IntRange(MinPart, MaxPart).Draw(t, "part_size"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func drawRanges(t *rapid.T) []Range {
	var list []Range
	for at := uint32(0); len(list) < MaxRanges; {
		r := Range{First: at + rapid.Uint32Max(60).Draw(t, "gap"), N: 1 + rapid.Uint32Max(15).Draw(t, "n")}
		if r.End() > 4000 {
			break
		}
		list = append(list, r)
		at = r.End()
		if rapid.IntRange(0, 4).Draw(t, "end") == 0 {
			break
		}
	}
	return list
}

// kindOfMessage is the kind whose body a message is.
func kindOfMessage(m Message) string {
	switch m.(type) {
	case Order:
		return KindOrder
	case Model, Manifest:
		return KindModel
	case Join:
		return KindJoin
	case Update, Offer, Decline:
		return KindUpdate
	case Need:
		return KindNeed
	}
	return KindReply
}

// sameMessage compares messages: no metrics and nil metrics are the same, and
// an update carries no rules.
func sameMessage(a, b Message) string {
	rules := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Rule" }, cmp.Ignore())
	opts := cmp.Options{cmpopts.EquateEmpty()}
	switch a.(type) {
	case Update, Offer:
		opts = append(opts, rules)
	}
	return cmp.Diff(a, b, opts)
}

// Every message comes back as it was, through an envelope, signed or not,
// compressed or not; its bytes re-encode to themselves; and the library that
// everybody uses reads the same array.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	o := &Opener{NS: testNamespace(t), Keys: testKeys(t), Owner: aggNode}
	rapid.Check(t, func(rt *rapid.T) {
		m := messages.Draw(rt, "message")
		h := header(t, kindOfMessage(m))
		h.Round, h.Attempt, h.Epoch = u64.Draw(rt, "h.round"), u32.Draw(rt, "h.attempt"), u64.Draw(rt, "h.epoch")
		if h.Encoding != "" && rapid.Bool().Draw(rt, "zstd") {
			h.Encoding = EncodingDenseZstd
		}
		signer := testSigner(t, 1)
		if h.Sender == siteNode {
			signer = testSigner(t, 2)
		}
		body := encode(t, m)
		payload := seal(t, h, body, signer)
		got, plain, err := o.Open(h.Topic, payload, Bound{})
		if err != nil {
			rt.Fatal(err)
		}
		if got.Task != h.Task || got.Round != h.Round || got.Base != h.Base || !bytes.Equal(got.KeyID, signer.KeyID()) {
			rt.Fatalf("header %+v, want %+v", got, h)
		}
		if !bytes.Equal(plain, body) {
			rt.Fatal("the body changed")
		}
		back, err := decodeBody(h.Kind, plain)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := sameMessage(m, back); diff != "" {
			rt.Fatal(diff)
		}
		if !bytes.Equal(encode(t, back), body) {
			rt.Fatal("re-encodes to other bytes")
		}
		var generic []any
		if err := msgpack.Unmarshal(body, &generic); err != nil {
			rt.Fatalf("library: %v", err)
		}
	})
}

// Without tensors the schema wanted decides between an evaluation and an error.
func TestUpdateAgainstSchema(t *testing.T) {
	t.Parallel()
	full := encode(t, testUpdate(t))
	bare := encode(t, Update{Samples: 3, Metrics: map[string]float64{"n": 3}})
	shared := testModel(t).Schema.Shared()

	got, err := DecodeUpdate(full, shared)
	if err != nil {
		t.Fatal(err)
	}
	if u := got.(Update); u.Tensors.Schema[1].Rule != model.Mean || u.Tensors.Schema[2].Rule != model.Max {
		t.Errorf("rules of the wanted schema are lost: %+v", u.Tensors.Schema)
	}
	if got, err = DecodeUpdate(bare, model.Schema{}); err != nil || got.(Update).Tensors != nil {
		t.Errorf("evaluation: %v, %v", got, err)
	}
	_, err = DecodeUpdate(full, model.Schema{})
	wantRefusal(t, err, ReasonSchemaMismatch, StageSchema)
	_, err = DecodeUpdate(bare, shared)
	wantRefusal(t, err, ReasonSchemaMismatch, StageSchema)
	for i, change := range []func(s model.Schema){
		func(s model.Schema) { s[1].Name = "layers.0.weighT" },
		func(s model.Schema) { s[1].DType = model.F64 },
		func(s model.Schema) { s[1].Shape = []int{3, 2} },
		func(s model.Schema) { s[1].Shape = []int{6} },
	} {
		other := testModel(t).Schema.Shared()
		change(other)
		if _, err = DecodeUpdate(full, other); err == nil {
			t.Errorf("change %d: accepted", i)
			continue
		}
		wantRefusal(t, err, ReasonSchemaMismatch, StageSchema)
	}
}

// The bounds that a receiver sets from its schema are reached, not passed.
func TestMaxBodies(t *testing.T) {
	t.Parallel()
	long := map[string]float64{}
	for i := range maxMetrics {
		if i < maxNamed {
			long[string(rune('a'+i%26))+string(bytes.Repeat([]byte{byte('a' + i/26)}, maxMetricName-1))] = 1
		} else {
			long[fmt.Sprintf("confusion.%05d.99999", i)] = 1
		}
	}
	m := largeModel(t, 100) // an offer of less is larger than the update
	u := Update{Samples: math.MaxUint64, Metrics: long, Tensors: m}
	u.Counts = most()
	if got, most := len(encode(t, u)), MaxUpdateBody(u.Tensors.Schema)-membersRoom+len(" counts    "); got > most || got < most-12 {
		t.Errorf("update: %d bytes, bound %d", got, most)
	}
}

func TestContent(t *testing.T) {
	t.Parallel()
	u := testUpdate(t)
	if u.Content() != model.ContentOf(u.Tensors.Blob) {
		t.Error("with tensors: not the id of the blob")
	}
	u.Tensors = nil
	want := model.ContentOf([]byte("\x93\x92\xa4loss\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x92\xa1n\xcb\x40\x44\x00\x00\x00\x00\x00\x00\x92\xa2se\xcb\xbf\xd0\x00\x00\x00\x00\x00\x00"))
	if u.Content() != want {
		t.Error("without tensors: not the id of the metrics array")
	}
}

// Encode refuses what a receiver would refuse, and mends free text.
func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	order := func(change func(*Order)) Order { o := testOrder(); change(&o); return o }
	many := map[string]float64{}
	for i := range maxMetrics + 1 {
		many[string(rune('A'+i))] = 1
	}
	for name, m := range map[string]Message{
		"work":            order(func(o *Order) { o.Work = "rest" }),
		"deadline":        order(func(o *Order) { o.DeadlineMS = maxMS + 1 }),
		"grid b":          order(func(o *Order) { o.GridB = -1024 }),
		"grid w":          order(func(o *Order) { o.GridW = 63 }),
		"weights":         order(func(o *Order) { o.Weights = "by size" }),
		"settings array":  order(func(o *Order) { o.Settings = []byte("[]") }),
		"settings long":   order(func(o *Order) { o.Settings = append(bytes.Repeat([]byte(" "), maxSettings), "{}"...) }),
		"settings broken": order(func(o *Order) { o.Settings = []byte("{") }),
		"part size":       order(func(o *Order) { o.PartSize = 0 }),
		"verdict":         Settled{},
		"reason":          RefusalReply{Reason: "Too Large"},
		"decline":         Decline{},
		"NaN":             Update{Metrics: map[string]float64{"x": math.NaN()}},
		"metric name":     Update{Metrics: map[string]float64{"": 1}},
		"metrics":         Update{Metrics: many},
		"blob":            Model{Tensors: &model.Model{Schema: testModel(t).Schema}},
		"unsorted":        Model{Tensors: &model.Model{Schema: model.Schema{{Name: "b", Shape: []int{0}}, {Name: "a", Shape: []int{0}}}}},
	} {
		if b, err := Encode(m); err == nil {
			t.Errorf("%s: encoded to %x", name, b)
		}
	}
	b := encode(t, Decline{Reason: "busy", Detail: "line\nbreak\x1b[31m" + string(bytes.Repeat([]byte("ä"), 200))})
	d, err := DecodeUpdate(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := d.(Decline).Detail; len(got) > maxDetail || got[:12] != "line?break?[" {
		t.Errorf("detail %q", got)
	}
}

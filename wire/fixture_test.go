package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

// The parties of every test: an aggregator at acme, a site, and a stranger.
const (
	testNS     = "acme"
	testTask   = "quality"
	testMember = "berlin/line-1"
	aggNode    = "acme"
	siteNode   = "acme/berlin/line-1"
	orderTopic = "acme/_fl_v1/quality/order"
	modelTopic = "acme/_fl_v1/quality/model"
	replyTopic = "acme/_fl_v1/quality/reply/berlin/line-1"
	joinTopic  = "acme/berlin/line-1/_fl_v1/quality/join"
	upTopic    = "acme/berlin/line-1/_fl_v1/quality/update"
	needTopic  = "acme/berlin/line-1/_fl_v1/quality/need"
)

// testOrigin is the origin of the test's task.
var testOrigin = Nonce{0x0f, 0xed}

// testKey is the key whose seed is 32 times b: 1 aggregator, 2 site, 3 stranger.
func testKey(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func testSigner(tb testing.TB, b byte) *Signer {
	tb.Helper()
	s, err := NewSigner(testKey(b))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func public(b byte) ed25519.PublicKey { return testKey(b).Public().(ed25519.PublicKey) }

func testKeys(tb testing.TB) *Keys {
	tb.Helper()
	k, err := NewKeys(
		Key{Role: topics.RoleAggregator, Public: public(1)},
		Key{Path: testMember, Role: topics.RoleSite, Public: public(2)},
		Key{Path: "berlin/line-9", Role: topics.RoleSite, Public: public(9), Revoked: true},
	)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func testNamespace(tb testing.TB) topics.Namespace {
	tb.Helper()
	ns, err := topics.New(testNS)
	if err != nil {
		tb.Fatal(err)
	}
	return ns
}

// testModel has four tensors: f32, f16, f64 kept, and an i64 scalar.
func testModel(tb testing.TB) *model.Model {
	tb.Helper()
	s, err := model.NewSchema(
		model.Spec{Name: "layers.0.weight", DType: model.F32, Shape: []int{2, 3}},
		model.Spec{Name: "layers.0.bias", DType: model.F16, Shape: []int{2}},
		model.Spec{Name: "fedmq.mean", DType: model.F64, Shape: []int{3}, Rule: model.Keep},
		model.Spec{Name: "steps", DType: model.I64, Rule: model.Max},
	)
	if err != nil {
		tb.Fatal(err)
	}
	m := model.New(s)
	if err := m.SetFloat32s("layers.0.weight", []float32{1, -2, 0.5, float32(math.Copysign(0, -1)), 3e-40, 7}); err != nil {
		tb.Fatal(err)
	}
	if err := m.SetFloat64s("fedmq.mean", []float64{0.25, -1e9, 3}); err != nil {
		tb.Fatal(err)
	}
	copy(m.Bytes("layers.0.bias"), []byte{0x00, 0x3c, 0x00, 0xc0}) // 1, -2
	binary.LittleEndian.PutUint64(m.Bytes("steps"), 42)
	return m
}

// testDelta is an update's tensors for testModel.
func testDelta(tb testing.TB) *model.Model {
	tb.Helper()
	m := model.New(testModel(tb).Schema.Shared())
	if err := m.SetFloat32s("layers.0.weight", []float32{0.5, 0.25, -0.5, 0, 1, -1}); err != nil {
		tb.Fatal(err)
	}
	return m
}

func testOrder() Order {
	return Order{
		Work: WorkTrain, ValidFrom: 1, DeadlineMS: 60_000, PaceMS: 20, HeartbeatMS: 30_000, GridB: 6, GridW: 20, Cap: 1000,
		Weights: "samples", Seed: 1 << 63, Settings: []byte(`{"epochs":5,"lr":0.01}`), Instance: Nonce{1, 2, 3},
		CohortSize: 10, CohortHash: sha256.Sum256([]byte("cohort")), SampleThreshold: SampleAll, PartSize: DefaultPart,
	}
}

func testJoin(tb testing.TB) Join {
	return Join{
		Samples: 1234, Schema: testModel(tb).Schema.Hash(), Instance: Nonce{9}, SeenEpoch: 3, SeenRound: 7,
		SeenAttempt: 1, Agent: "fedmq/0.1 (linux; amd64)", Disk: Nonce{8}, Host: "gateway-7",
	}
}

func testUpdate(tb testing.TB) Update {
	return Update{Samples: 1234, Metrics: map[string]float64{"loss": 1.5, "n": 40, "se": -0.25}, Tensors: testDelta(tb)}
}

// header returns a good header for a kind.
func header(tb testing.TB, kind string) Header {
	tb.Helper()
	m := testModel(tb)
	h := Header{
		Owner: aggNode, Task: testTask, Epoch: 3, Kind: kind, Round: 7, Attempt: 1, Sender: aggNode,
		Base: m.ContentID(), Schema: m.Schema.Hash(), CreatedMS: 1_700_000_000_000, Origin: testOrigin,
	}
	switch kind {
	case KindOrder:
		h.Topic = orderTopic
	case KindModel:
		h.Topic, h.Encoding = modelTopic, EncodingDense
	case KindReply:
		h.Topic = replyTopic
	case KindJoin:
		h.Topic, h.Sender = joinTopic, siteNode
	case KindNeed:
		h.Topic, h.Sender = needTopic, siteNode
	case KindUpdate:
		h.Topic, h.Sender, h.Encoding = upTopic, siteNode, EncodingDense
	}
	return h
}

func encode(tb testing.TB, m Message) []byte {
	tb.Helper()
	b, err := Encode(m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func seal(tb testing.TB, h Header, body []byte, s *Signer) []byte {
	tb.Helper()
	b, err := Seal(h, body, s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// wantRefusal asserts reason and stage.
func wantRefusal(tb testing.TB, err error, reason string, stage int) {
	tb.Helper()
	_ = refusalOf(tb, err, reason, stage)
}

// refusalOf asserts reason and stage, and returns the refusal.
func refusalOf(tb testing.TB, err error, reason string, stage int) *Refusal {
	tb.Helper()
	var r *Refusal
	if !errors.As(err, &r) {
		tb.Fatalf("got %v, want a refusal %s at stage %d", err, reason, stage)
	}
	if r.Reason != reason || r.Stage != stage {
		tb.Fatalf("got %v, want %s at stage %d", err, reason, stage)
	}
	return r
}

// decodeBody decodes by kind, with any schema.
func decodeBody(kind string, body []byte) (Message, error) {
	switch kind {
	case KindOrder:
		return DecodeOrder(body)
	case KindModel:
		return DecodeModel(body, Limits{})
	case KindJoin:
		return DecodeJoin(body)
	case KindReply:
		return DecodeReply(body)
	case KindNeed:
		return DecodeNeed(body)
	}
	return DecodeUpdate(body, nil)
}

// moreThan reports whether a body has members that its message does not keep: those
// that this version does not know.
func moreThan(m Message, body []byte) bool {
	var generic []any
	if err := msgpack.Unmarshal(body, &generic); err != nil || len(generic) == 0 {
		return true
	}
	names, _ := generic[len(generic)-1].(map[string]any)
	for _, x := range m.members() {
		delete(names, x.name)
	}
	return len(names) > 0
}

// allocated returns the bytes that f allocates: the least of a few runs, as
// the runtime may allocate meanwhile.
func allocated(f func(), enough uint64) uint64 {
	least := uint64(math.MaxUint64)
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if least = min(least, after.TotalAlloc-before.TotalAlloc); least <= enough {
			break
		}
	}
	return least
}

// allocBound asserts the bound of W-3: what the schema (at most the message
// itself) needs, and 1 MiB.
func allocBound(tb testing.TB, size int, f func()) {
	tb.Helper()
	most := uint64(size) + 1<<20
	if got := allocated(f, most); got > most {
		tb.Fatalf("%d bytes allocated for a message of %d bytes, want at most %d", got, size, most)
	}
}

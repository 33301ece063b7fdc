package wire

import (
	"bytes"
	"math"
	"testing"

	"github.com/fedmq/fedmq/model"
)

// testBytes are n bytes that no two parts share.
func testBytes(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// largeModel has one f32 tensor of n elements.
func largeModel(tb testing.TB, n int) *model.Model {
	tb.Helper()
	s, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{n}})
	if err != nil {
		tb.Fatal(err)
	}
	return &model.Model{Schema: s, Blob: testBytes(4 * n)}
}

func blobOf(tb testing.TB, b []byte, partSize int) Blob {
	tb.Helper()
	blob, err := NewBlob(b, partSize)
	if err != nil {
		tb.Fatal(err)
	}
	return blob
}

// testManifest is a model of 10,000 bytes in three parts.
func testManifest(tb testing.TB) Manifest {
	m := largeModel(tb, 2500)
	return Manifest{Version: 7, Schema: m.Schema, Slot: 1, Blob: blobOf(tb, m.Blob, MinPart)}
}

func testOffer(tb testing.TB) Offer {
	m := largeModel(tb, 2500)
	return Offer{
		Samples: 1234, Metrics: map[string]float64{"loss": 1.5, "n": 40}, Schema: m.Schema,
		Content: m.ContentID(), Blob: blobOf(tb, m.Blob, MinPart),
	}
}

func testRanges() []Range { return []Range{{0, 1}, {1, 16}, {300, 3700}} }

// manifestHeader is the header of testManifest.
func manifestHeader(tb testing.TB) Header {
	m := largeModel(tb, 2500)
	h := header(tb, KindModel)
	h.Base, h.Schema = m.ContentID(), m.Schema.Hash()
	return h
}

// partOpenCases are whole messages about parts.
func partOpenCases(t *testing.T) []vector {
	t.Helper()
	agg, site := testSigner(t, 1), testSigner(t, 2)
	one := func(name, comment string, h Header, m Message, s *Signer) vector {
		return vector{
			name: "open-" + name, comment: comment, op: "open", topic: h.Topic, signed: true, maxRound: 8,
			expect: accepted, data: seal(t, h, encode(t, m), s),
		}
	}
	key := testOffer(t).Blob.Key()
	return []vector{
		one("model-manifest", "A model of 10,000 bytes in three parts.", manifestHeader(t), testManifest(t), agg),
		one("update-offer", "An update of 10,000 bytes, offered.", header(t, KindUpdate), testOffer(t), site),
		one("need", "A need: three ranges, two of them adjacent.", header(t, KindNeed), Need{Blob: key, Ranges: testRanges()}, site),
		one("reply-grant", "A reply: grant.", header(t, KindReply), Grant{Round: 7, Attempt: 1, Seq: 4, Blob: key, Ranges: []Range{{0, 3}}}, agg),
		one("reply-wait", "A reply: wait.", header(t, KindReply), Wait{Round: 7, Attempt: 1, Content: testOffer(t).Content, Ahead: 64}, agg),
	}
}

// contentCases are bytes with their content id, and their hash as one part.
func contentCases() []vector {
	one := func(name, comment string, n int) vector {
		return vector{name: "content-" + name, comment: comment, op: "content", expect: accepted, data: testBytes(n)}
	}
	return []vector{
		one("none", "No bytes.", 0),
		one("short", "One leaf, which is not full.", 100),
		one("leaf", "One whole leaf.", model.Leaf),
		one("leaves", "Two leaves and a byte.", 2*model.Leaf+1),
	}
}

// partPayloadCases are the payloads of parts.
func partPayloadCases(t *testing.T) []vector {
	t.Helper()
	key := BlobKey{1, 2, 3}
	good := AppendPart(nil, Part{Blob: key, Index: 3999, Count: 4000, Data: []byte("data")})
	bad := func(name, comment, reason string, stage int, data []byte) vector {
		return vector{name: "part-bad-" + name, comment: comment, op: "part", maxBody: MinPart, expect: reason, stage: stage, data: data}
	}
	form := func(name, comment string, data []byte) vector {
		return bad(name, comment, ReasonMalformed, StageStructure, data)
	}
	one := func(name, comment string, p Part) vector {
		return vector{name: "part-" + name, comment: comment, op: "part", maxBody: MinPart, expect: accepted, data: AppendPart(nil, p)}
	}
	body := good[2:]
	return []vector{
		one("last", "The last part of a blob of the most parts.", Part{Blob: key, Index: 3999, Count: 4000, Data: []byte("data")}),
		one("full", "A full part of part size 4,160, one leaf: 64 bytes are left for what is not data.", Part{Blob: key, Count: 2, Data: testBytes(MinPart - PartOverhead)}),
		bad("size", "A part larger than the part size.", ReasonTooLarge, StageSize, AppendPart(nil, Part{Blob: key, Count: 1, Data: make([]byte, MinPart)})),
		form("empty", "No bytes at all.", nil),
		form("version", "A part of version 3.", append([]byte{0x95, 3}, body...)),
		form("fields", "A part of four fields.", append([]byte{0x94, 2}, body...)),
		form("envelope", "An envelope's first bytes.", append([]byte{0x94, 1}, body...)),
		form("key-15", "A blob of 15 bytes.", append([]byte{0x95, 2, 0xc4, 15}, body[3:]...)),
		form("key-str", "A blob that is a str.", append([]byte{0x95, 2, 0xb0}, body[2:]...)),
		form("index-long", "An index of 3 in three bytes.", append(append(append([]byte{0x95, 2}, body[:18]...), 0xcd, 0, 3), body[21:]...)),
		form("index-negative", "A negative index.", append(append(append([]byte{0x95, 2}, body[:18]...), 0xff), body[21:]...)),
		form("bomb", "Data that claims 4 GiB.", append(bytes.Clone(good[:len(good)-6]), 0xc6, 0xff, 0xff, 0xff, 0xff)),
		form("cut", "The last byte is missing.", good[:len(good)-1]),
		form("trailing", "A byte follows the part.", append(bytes.Clone(good), 0)),
		form("count", "A count of 4,001.", AppendPart(nil, Part{Blob: key, Index: 1, Count: 4001, Data: []byte("data")})),
		form("count-zero", "A count of 0.", AppendPart(nil, Part{Blob: key, Data: []byte("data")})),
		form("index", "An index that is the count.", AppendPart(nil, Part{Blob: key, Index: 3, Count: 3, Data: []byte("data")})),
		form("data", "A part without data.", AppendPart(nil, Part{Blob: key, Index: 1, Count: 3})),
	}
}

// partBodyCases are bodies about parts that are refused.
func partBodyCases(t *testing.T) []vector {
	t.Helper()
	manifest := func(name, comment string, change func(*Manifest)) vector {
		m := testManifest(t)
		change(&m)
		return bodyCase(KindModel, "manifest-"+name, comment, m.appendTo(nil))
	}
	offer := func(name, comment string, change func(*Offer)) vector {
		o := testOffer(t)
		change(&o)
		return bodyCase(KindUpdate, "offer-"+name, comment, o.appendTo(nil))
	}
	need := func(name, comment string, ranges ...Range) vector {
		return bodyCase(KindNeed, name, comment, Need{Ranges: ranges}.appendTo(nil))
	}
	key, content := testOffer(t).Blob.Key(), testOffer(t).Content
	grant := encode(t, Grant{Round: 7, Attempt: 1, Seq: 4, Blob: key, Ranges: []Range{{0, 3}}})
	full := make([]Range, MaxRanges)
	for i := range full {
		full[i] = Range{uint32(2 * i), 1}
	}
	return []vector{
		{name: "need-full", comment: "A need of 64 ranges, the most.", op: KindNeed, expect: accepted, data: encode(t, Need{Blob: key, Ranges: full})},
		{
			name: "update-offer-schema", comment: "An offer of exactly the schema wanted.", op: KindUpdate, schema: `[["w","f32",[2500]]]`,
			expect: accepted, data: encode(t, testOffer(t)),
		},
		{
			name: "update-bad-offer-schema", comment: "An offer of another shape than the schema wants.", op: KindUpdate, schema: `[["w","f32",[50,50]]]`,
			expect: ReasonSchemaMismatch, stage: StageSchema, data: encode(t, testOffer(t)),
		},
		{
			name: "update-bad-offer-metric", comment: "An offer with a metric that is infinite.", op: KindUpdate, expect: ReasonNotFinite, stage: StageSchema,
			data: func() []byte { o := testOffer(t); o.Metrics["n"] = math.Inf(1); return o.appendTo(nil) }(),
		},
		manifest("slot", "Slot 8.", func(m *Manifest) { m.Slot = 8 }),
		manifest("hashes", "A hash for each part, and one more.", func(m *Manifest) { m.Blob.Hashes = append(m.Blob.Hashes, make([]byte, PartHash)...) }),
		manifest("hash-short", "A hash of 15 bytes.", func(m *Manifest) { m.Blob.Hashes = m.Blob.Hashes[1:] }),
		manifest("data-small", "Parts of less data than a leaf.", func(m *Manifest) { m.Blob.Data-- }),
		manifest("data-leaves", "Parts of a leaf and a half.", func(m *Manifest) { m.Blob.Data = 6144; m.Blob.Hashes = m.Blob.Hashes[:2*PartHash] }),
		manifest("data-zero", "Parts of 0 bytes of data.", func(m *Manifest) { m.Blob.Data = 0 }),
		manifest("data-large", "Parts of more data than part size 4 MiB has.", func(m *Manifest) { m.Blob.Data = MaxPart; m.Blob.Hashes = m.Blob.Hashes[:PartHash] }),
		manifest("empty", "A manifest of a tensor without elements: there is nothing to cut.", func(m *Manifest) {
			m.Schema[0].Shape[0] = 0
			m.Blob.Hashes = nil
		}),
		manifest("parts", "A blob of 4,001 parts.", func(m *Manifest) {
			m.Schema[0].Shape[0] = 4000*model.Leaf/4 + 1
			m.Blob.Hashes = make([]byte, 4001*PartHash)
		}),
		manifest("overflow", "A table of 2^62 bytes with the hashes of one part.", func(m *Manifest) {
			m.Schema[0].Shape[0] = 1 << 60
			m.Blob.Hashes = m.Blob.Hashes[:PartHash]
		}),
		bodyCase(KindModel, "manifest-fields", "A manifest of seven fields, without members.", append([]byte{0x97}, encode(t, testManifest(t))[1:len(encode(t, testManifest(t)))-1]...)),
		offer("hashes", "An offer without the last part's hash.", func(o *Offer) { o.Blob.Hashes = o.Blob.Hashes[PartHash:] }),
		offer("data", "An offer of parts of 2^32-1 bytes.", func(o *Offer) { o.Blob.Data = math.MaxUint32; o.Blob.Hashes = o.Blob.Hashes[:PartHash] }),
		offer("empty", "An offer without tensors.", func(o *Offer) { o.Schema, o.Blob.Hashes = nil, nil }),
		bodyCase(KindUpdate, "offer-content", "An offer with a content id of 0 bytes.",
			replaced(t, encode(t, testOffer(t)), appendBin(nil, content[:]), appendBin(nil, nil))),
		need("none", "A need of no ranges."),
		need("many", "A need of 65 ranges.", append(full[:MaxRanges:MaxRanges], Range{200, 1})...),
		need("zero", "A range of no parts.", Range{3, 0}),
		need("order", "Ranges that do not ascend.", Range{5, 1}, Range{3, 1}),
		need("overlap", "Ranges that overlap.", Range{3, 3}, Range{5, 2}),
		need("beyond", "A range that ends after the last part there can be.", Range{3999, 2}),
		need("wrap", "A range that wraps.", Range{math.MaxUint32, 2}),
		need("wrap-n", "A range of 2^32-1 parts.", Range{1, math.MaxUint32}),
		bodyCase(KindNeed, "key", "A blob of 17 bytes.", append([]byte{0x93, 0xc4, 17}, make([]byte, 19)...)),
		bodyCase(KindNeed, "range-fields", "A range of three fields.", append(appendBin([]byte{0x93}, key[:]), 0x91, 0x93, 1, 1, 1, 0x80)),
		bodyCase(KindReply, "grant-ranges", "A grant of no ranges.", Grant{}.appendTo(nil)),
		bodyCase(KindReply, "grant-fields", "A grant of eight fields.", append(flipTo(grant, 0, 0x98), 0)),
		bodyCase(KindReply, "wait-content", "A wait without a content id.", appendMap(appendUint(appendBin([]byte("\x96\xa4wait\x07\x01"), nil), 1), 0)),
	}
}

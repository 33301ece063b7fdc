package wire

import (
	"bytes"
	"crypto/sha256"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/model"
)

// The id, spelled out.
func TestBlobID(t *testing.T) {
	t.Parallel()
	b := testBytes(10_000)
	blob := blobOf(t, b, MinPart)
	text := append([]byte("fedmq/blob/v1"), 0x10, 0x27, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0)
	for off := 0; off < len(b); off += 4096 {
		leaf := sha256.Sum256(b[off:min(off+4096, len(b))])
		h := sha256.Sum256(append([]byte("fedmq/part/v1"), leaf[:]...))
		text = append(text, h[:16]...)
	}
	want := sha256.Sum256(text)
	if blob.ID() != want || blob.Key() != BlobKey(want[:16]) || blob.Count() != 3 {
		t.Errorf("id %v of %d parts, want %x", blob.ID(), blob.Count(), want)
	}
	if blob.ID() == blobOf(t, b, MinPart+model.Leaf).ID() {
		t.Error("cut in another way, the id is the same")
	}
}

// Parts put a blob together again, and only the right one at its place.
func TestBlobParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 60_000).Draw(t, "size")
		partSize := rapid.IntRange(MinPart, MinPart+3*model.Leaf).Draw(t, "part_size")
		b := testBytes(size)
		blob, err := NewBlob(b, partSize)
		if err != nil {
			t.Fatal(err)
		}
		got, key := make([]byte, 0, size), blob.Key()
		for i := range blob.Count() {
			off, n := blob.Span(i)
			payload := AppendPart(nil, Part{Blob: key, Index: uint32(i), Count: uint32(blob.Count()), Data: b[off : off+n]})
			if len(payload) > partSize {
				t.Fatalf("part %d has %d bytes, part size %d", i, len(payload), partSize)
			}
			p, err := DecodePart(payload, partSize)
			if err != nil || p.Blob != key || p.Index != uint32(i) || p.Count != uint32(blob.Count()) {
				t.Fatalf("part %d: %+v, %v", i, p, err)
			}
			for j := -1; j <= blob.Count(); j++ {
				if blob.Holds(j, p.Data) != (i == j) {
					t.Fatalf("part %d at %d: %v", i, j, blob.Holds(j, p.Data))
				}
			}
			got = append(got, p.Data...)
			p.Data[rapid.IntRange(0, n-1).Draw(t, "flip")] ^= 1
			if blob.Holds(i, p.Data) || blob.Holds(i, p.Data[1:]) {
				t.Fatalf("part %d is held with another bit or length", i)
			}
		}
		if !bytes.Equal(got, b) {
			t.Fatal("other bytes")
		}
	})
}

func TestNewBlobRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size, partSize int
		want           string
	}{
		"empty":      {0, MinPart, "want 1 to"},
		"small part": {1, MinPart - 1, "part_size"},
		"large part": {1, MaxPart + 1, "part_size"},
		"many parts": {4000*4096 + 1, MinPart, "make 4001 parts, want at most 4000"},
	} {
		if _, err := NewBlob(make([]byte, c.size), c.partSize); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	blob := blobOf(t, make([]byte, 4000*4096), MinPart)
	if blob.Count() != 4000 {
		t.Errorf("%d parts", blob.Count())
	}
	for _, b := range []Blob{{Length: math.MaxUint64, Data: 4096}, {Length: math.MaxInt64, Data: mostData}, {Length: 1 << 20, Data: 6144}, {Length: 1, Data: mostData + model.Leaf}, {Length: 1, Data: 4096}, {Length: 1}} {
		if b.check() == nil {
			t.Errorf("%+v is accepted", b)
		}
	}
}

// Parts come by the thousand from anybody: neither a good nor a bad one costs
// memory.
func TestDecodePartAllocates(t *testing.T) {
	for _, v := range partPayloadCases(t) {
		if n := testing.AllocsPerRun(10, func() { _, _ = DecodePart(v.data, v.maxBody) }); n != 0 {
			t.Errorf("%s: %v allocations", v.name, n)
		}
	}
}

// A part size that CheckParts accepts holds manifest and offer; one byte less
// than it names does not.
func TestCheckParts(t *testing.T) {
	t.Parallel()
	schema := func(elements int) model.Schema {
		s, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{elements}}, model.Spec{Name: strings.Repeat("b", 200), Shape: []int{3}, Rule: model.Keep})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if err := CheckParts(schema(100), MinPart); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		elements, partSize int
		want               string
	}{
		"hashes":    {250_000, MinPart, "8320 will do"},
		"parts":     {125_000_000, 100 << 10, "133120 will do"},
		"range":     {1, MaxPart + 1, "want 4160 to 4194304"},
		"ever":      {1 << 40, MaxPart, "at any part_size"},
		"overflows": {1 << 60, DefaultPart, "at any part_size"},
	} {
		if err := CheckParts(schema(c.elements), c.partSize); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	for _, n := range []int{1_000, 100_000, 200_000} {
		for _, partSize := range []int{MinPart, 8 << 10, 16 << 10} {
			if CheckParts(schema(n), partSize) != nil {
				continue
			}
			s := schema(n)
			blob := blobOf(t, testBytes(s.Bytes()), partSize)
			h := header(t, KindModel)
			h.Schema, h.Round, h.Epoch = s.Hash(), math.MaxUint64, math.MaxUint64
			got := len(seal(t, h, encode(t, Manifest{Version: math.MaxUint64, Schema: s, Slot: 7, Blob: blob}), testSigner(t, 1)))
			offer := len(seal(t, header(t, KindUpdate), encode(t, Offer{Samples: math.MaxUint64, Metrics: map[string]float64{"loss": 1, "n": 2}, Schema: s, Blob: blob}), testSigner(t, 2)))
			if got > partSize || offer > partSize {
				t.Errorf("%d elements: manifest of %d bytes, offer of %d, part size %d", n, got, offer, partSize)
			}
		}
	}
}

// The bounds of bodies hold a manifest and an offer too, at the smallest parts.
func TestMaxBodiesOfParts(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 15, 1008, 1009, 300_000} {
		m := largeModel(t, n)
		blob := blobOf(t, m.Blob, MinPart)
		if got, most := len(encode(t, Offer{Samples: math.MaxUint64, Schema: m.Schema, Blob: blob})), MaxUpdateBody(m.Schema); got > most {
			t.Errorf("%d: offer of %d bytes, bound %d", n, got, most)
		}
	}
}

// Encode refuses what a receiver would refuse.
func TestEncodeRefusesParts(t *testing.T) {
	t.Parallel()
	manifest := func(change func(*Manifest)) Manifest { m := testManifest(t); change(&m); return m }
	offer := func(change func(*Offer)) Offer { o := testOffer(t); change(&o); return o }
	for name, m := range map[string]Message{
		"slot":           manifest(func(m *Manifest) { m.Slot = 8 }),
		"manifest size":  manifest(func(m *Manifest) { m.Blob.Length-- }),
		"manifest blob":  manifest(func(m *Manifest) { m.Blob.Hashes = nil }),
		"manifest table": manifest(func(m *Manifest) { m.Schema[0].Name = "" }),
		"offer size":     offer(func(o *Offer) { o.Blob.Length++ }),
		"offer metric":   offer(func(o *Offer) { o.Metrics["n"] = math.NaN() }),
		"need":           Need{},
		"grant":          Grant{Ranges: []Range{{1, 1}, {0, 1}}},
	} {
		if b, err := Encode(m); err == nil {
			t.Errorf("%s: encoded to %x", name, b)
		}
	}
}

// A manifest whose header claims another model is refused.
func TestManifestMatches(t *testing.T) {
	t.Parallel()
	m := testManifest(t)
	if err := m.Matches(manifestHeader(t)); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		reason string
		change func(*Header)
	}{
		{ReasonWrongBase, func(h *Header) { h.Base = model.Hash{} }},
		{ReasonSchemaMismatch, func(h *Header) { h.Schema[0] ^= 1 }},
		{ReasonMalformed, func(h *Header) { h.Round++ }},
	} {
		h := manifestHeader(t)
		c.change(&h)
		wantRefusal(t, m.Matches(h), c.reason, StageSchema)
	}
}

// Parts are shown without their data.
func TestInspectPart(t *testing.T) {
	t.Parallel()
	data := testBytes(100)
	in, text := inspect(t, AppendPart(nil, Part{Blob: BlobKey{7}, Index: 2, Count: 3, Data: data}))
	if in.Format != "fedmq" || in.Form != "part" || in.Body != (PartView{BlobKey{7}, 2, 3, 100, model.PartOf(data)}) {
		t.Errorf("%s", text)
	}
	in, text = inspect(t, AppendPart(nil, Part{Blob: BlobKey{7}, Index: 3, Count: 3, Data: data}))
	if in.Format != "fedmq" || in.Problem == nil || in.Body != nil {
		t.Errorf("%s", text)
	}
	in, text = inspect(t, seal(t, manifestHeader(t), encode(t, testManifest(t)), nil))
	if v := in.Body.(ManifestView); v.Blob.Parts != 3 || v.Slot != 1 || len(in.Tensors) != 1 || in.Tensors[0].Min != nil {
		t.Errorf("%s", text)
	}
}

// What a fedmq sends whose content ids are plain SHA-256 is refused with the cure.
func TestOlderVersionIsNamed(t *testing.T) {
	t.Parallel()
	m := Model{Tensors: testModel(t)}
	older := m.Matches(Header{Schema: m.Tensors.Schema.Hash(), Base: sha256.Sum256(m.Tensors.Blob)})
	other := m.Matches(Header{Schema: m.Tensors.Schema.Hash(), Base: model.Hash{1}})
	_, parts := Blob{Length: 1_000_000, Data: 129_024 - PartOverhead}.parts()
	const cure = "both sides want the same version"
	if older == nil || !strings.Contains(older.Error(), cure) || parts == nil || !strings.Contains(parts.Error(), cure) {
		t.Errorf("%v; %v", older, parts)
	}
	if other == nil || strings.Contains(other.Error(), cure) {
		t.Errorf("another content: %v", other)
	}
}

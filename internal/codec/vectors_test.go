package codec

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/fedmq/fedmq/model"
)

// vectors are those of compression in testdata/vectors/strategies.json.
type vectors struct {
	F16, BF16 []struct {
		X    bits `json:"x_f32"`
		F16  bits `json:"f16"`
		BF16 bits `json:"bf16"`
	}
	F16Refused  []bits `json:"f16_refused"`
	BF16Refused []bits `json:"bf16_refused"`
	Q8          []struct {
		ID      string
		Block   int
		X       []bits `json:"x_f32"`
		Scale   []bits `json:"scale_f32"`
		Q       []int8
		Decoded []bits `json:"decoded_f32"`
	}
	TopK struct {
		Fraction float64
		Rounds   []struct {
			Delta    []bits `json:"delta_f32"`
			Before   []bits `json:"residual_before_f32"`
			K        int
			Indices  []uint32
			Values   []bits `json:"values_f32"`
			Accepted bool
			After    []bits `json:"residual_after_f32"`
		}
		Tie struct {
			A       []float32
			K       int
			Indices []uint32
		}
		KOf [][3]float64 `json:"k_of"`
	}
}

// bits are those of a number, in hex.
type bits uint32

func (b *bits) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 16, 32)
	*b = bits(n)
	return err
}

func (b bits) f32() float32 { return math.Float32frombits(uint32(b)) }

func readVectors(t testing.TB) vectors {
	t.Helper()
	raw, err := os.ReadFile("../../testdata/vectors/strategies.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Compression vectors }
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all.Compression
}

func TestHalfVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	if len(v.F16) < 20 || len(v.BF16) < 20 || len(v.F16Refused) < 3 || len(v.BF16Refused) < 2 {
		t.Fatal("the vectors are not there")
	}
	for _, c := range v.F16 {
		if got, ok := toF16(c.X.f32()); !ok || got != uint16(c.F16) {
			t.Errorf("f16 of %08x: %04x, %v, want %04x", c.X, got, ok, c.F16)
		}
	}
	for _, c := range v.BF16 {
		if got, ok := toBF16(c.X.f32()); !ok || got != uint16(c.BF16) {
			t.Errorf("bf16 of %08x: %04x, %v, want %04x", c.X, got, ok, c.BF16)
		}
	}
	nan := bits(math.Float32bits(float32(math.NaN())))
	for _, x := range append(v.F16Refused, 0x7f800000, 0xff800000, nan) {
		if _, ok := toF16(x.f32()); ok {
			t.Errorf("f16 takes %08x", x)
		}
	}
	for _, x := range append(v.BF16Refused, 0x7f800000, 0xff800000, nan) {
		if _, ok := toBF16(x.f32()); ok {
			t.Errorf("bf16 takes %08x", x)
		}
	}
}

// Every pattern of f16 and bf16 is a value that is encoded to itself, but for
// infinities and NaN.
func TestHalfAll(t *testing.T) {
	t.Parallel()
	for h := range 1 << 16 {
		if x := fromF16(uint16(h)); x-x == 0 {
			if got, ok := toF16(x); !ok || got != uint16(h) {
				t.Fatalf("f16 %04x is %g, and that %04x", h, x, got)
			}
			if want := model.F16.Element(binary.LittleEndian.AppendUint16(nil, uint16(h))); float64(x) != want {
				t.Fatalf("f16 %04x is %g, want %g", h, x, want)
			}
		}
		if x := fromBF16(uint16(h)); x-x == 0 {
			if got, ok := toBF16(x); !ok || got != uint16(h) {
				t.Fatalf("bf16 %04x is %g, and that %04x", h, x, got)
			}
		}
	}
}

// vector is a model of one tensor.
func vector(t testing.TB, list []bits) *model.Model {
	t.Helper()
	s, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{len(list)}})
	if err != nil {
		t.Fatal(err)
	}
	m := model.New(s)
	for i, b := range list {
		binary.LittleEndian.PutUint32(m.Blob[4*i:], uint32(b))
	}
	return m
}

func words(b []byte) (list []bits) {
	for ; len(b) > 0; b = b[4:] {
		list = append(list, bits(binary.LittleEndian.Uint32(b)))
	}
	return list
}

func TestQ8Vectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t).Q8
	if len(v) < 5 {
		t.Fatal("the vectors are not there")
	}
	for _, c := range v {
		m, q := vector(t, c.X), q8{c.Block}
		raw := make([]byte, q.size(m.Schema))
		if err := q.encode(raw, m); err != nil {
			t.Fatal(err)
		}
		n := 4 * len(c.Scale)
		if got := words(raw[:n]); !slices.Equal(got, c.Scale) {
			t.Errorf("%s: scales %08x, want %08x", c.ID, got, c.Scale)
		}
		for i, want := range c.Q {
			if got := int8(raw[n+i]); got != want {
				t.Errorf("%s: value %d is %d, want %d", c.ID, i, got, want)
			}
		}
		got := model.New(m.Schema)
		if err := q.decode(got, raw); err != nil {
			t.Fatal(err)
		}
		for i, b := range words(got.Blob) {
			if want := c.Decoded[i]; b != want && !(b == 0 && want == sign32) { // an int8 has no -0
				t.Errorf("%s: value %d is decoded as %08x, want %08x", c.ID, i, b, want)
			}
		}
	}
}

// Four rounds with error feedback; what the third sends does not count.
func TestTopKVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t).TopK
	if len(v.Rounds) < 4 || len(v.KOf) < 6 {
		t.Fatal("the vectors are not there")
	}
	c := Codec{name: TopK, fraction: v.Fraction, Feedback: true}
	var e []byte
	for i, r := range v.Rounds {
		m := vector(t, r.Delta)
		raw, as, rest, err := c.Encode(m, e)
		if err != nil {
			t.Fatal(err)
		}
		var places []uint32
		for _, b := range words(raw[:4*r.K]) {
			places = append(places, uint32(b))
		}
		if !slices.Equal(places, r.Indices) || !slices.Equal(words(raw[4*r.K:]), r.Values) || as.String() != "topk:0.3" {
			t.Errorf("round %d: %d and %08x as %s, want %d and %08x", i, places, words(raw[4*r.K:]), as, r.Indices, r.Values)
		}
		if r.Accepted {
			e = rest
		}
		if i > 0 && !slices.Equal(words(e), r.After) {
			t.Errorf("round %d: %08x is left, want %08x", i, words(e), r.After)
		}
	}
	if !slices.Equal(places(t, v.Tie.A, v.Tie.K), v.Tie.Indices) {
		t.Errorf("ties: %v", places(t, v.Tie.A, v.Tie.K))
	}
	for _, row := range v.KOf {
		if got := kept(row[0], int(row[1])); got != int(row[2]) {
			t.Errorf("%v of %v values: %d, want %v", row[0], row[1], got, row[2])
		}
	}
}

// places are those of the k largest.
func places(t *testing.T, a []float32, k int) (list []uint32) {
	t.Helper()
	var x []bits
	for _, v := range a {
		x = append(x, bits(math.Float32bits(v)))
	}
	m := vector(t, x)
	f := topK{fraction: float64(k) / float64(len(a))}
	raw := make([]byte, f.size(m.Schema))
	if err := f.encode(raw, m); err != nil {
		t.Fatal(err)
	}
	for _, b := range words(raw[:4*k]) {
		list = append(list, uint32(b))
	}
	return list
}

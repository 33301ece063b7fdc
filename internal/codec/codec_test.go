package codec

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
)

// An encoding has one text, and others that mean it.
func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"dense": "dense", "dense+zstd": "dense+zstd", "f16": "f16", "bf16+zstd": "bf16+zstd",
		"q8": "q8", "q8:256": "q8", "q8:64+zstd": "q8:64+zstd", "q8+feedback+zstd": "q8+feedback+zstd", "q8:16+feedback": "q8:16+feedback",
		"topk": "topk:0.01", "topk:.01": "topk:0.01", "topk:1e-4": "topk:0.0001", "topk:.25:f16+zstd": "topk:0.25:f16+zstd",
		"topk::f16": "topk:0.01:f16", "topk:0.01-feedback+zstd": "topk:0.01-feedback+zstd",
	} {
		c, err := Parse(text)
		if err != nil || c.String() != want {
			t.Errorf("%s: %s, %v, want %s", text, c, err, want)
		}
		if again, err := Parse(c.String()); err != nil || again != c || len(want) > 32 {
			t.Errorf("%s: %v again, %v", text, again, err)
		}
	}
	for _, text := range []string{
		"", "zstd", "gzip", "f16:2", "f16:", "f16+feedback", "bf16-feedback", "dense+feedback", "q8:15", "q8:4097", "q8:x", "q8-feedback", "q8:", "q8+zstd+feedback",
		"q8:+zstd", "q8:+feedback", "topk:", "topk:+zstd", "topk:-feedback",
		"topk:0", "topk:.6", "topk:NaN", "topk:.1:f32", "topk:.1:", "topk+feedback", "q8 +zstd", "Q8",
	} {
		if c, err := Parse(text); err == nil {
			t.Errorf("%q is %s", text, c)
		} else if !strings.Contains(err.Error(), "want dense, f16") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestTakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		order, update string
		want          bool
	}{
		{"q8+zstd", "q8", true},
		{"q8+zstd", "q8+zstd", true},
		{"q8", "q8+zstd", false},
		{"q8", "q8:64", false},
		{"q8+feedback", "q8", true},
		{"topk", "topk-feedback", true},
		{"topk", "topk:.02-feedback", false},
		{"f16", "bf16", false},
	} {
		order, _ := Parse(c.order)
		if update, _ := Parse(c.update); order.Takes(update) != c.want {
			t.Errorf("%s for %s: %v", c.update, c.order, !c.want)
		}
	}
	c, _ := Parse("topk+zstd")
	if got := c.Lacks([]string{F16, Zstd}); !slices.Equal(got, []string{TopK}) {
		t.Errorf("lacks %v", got)
	}
}

// mixed has all kinds of tensors.
func mixed(t testing.TB) *model.Model {
	t.Helper()
	s, err := model.NewSchema(
		model.Spec{Name: "a", Shape: []int{300}}, model.Spec{Name: "b", DType: model.F64, Shape: []int{7, 5}},
		model.Spec{Name: "c", DType: model.I64, Shape: []int{2}, Rule: model.Max}, model.Spec{Name: "d", Shape: []int{0}}, model.Spec{Name: "e", Shape: []int{}})
	if err != nil {
		t.Fatal(err)
	}
	m, r := model.New(s), rand.New(rand.NewPCG(1, 2))
	_ = each(m, func(spec model.Spec, b []byte, _ int) error {
		for i := range spec.Elements() {
			if float(spec) {
				put(spec, b, i, float32(r.NormFloat64()))
			} else {
				binary.LittleEndian.PutUint64(b[8*i:], r.Uint64())
			}
		}
		return nil
	})
	return m
}

// twin decodes an encoding as its definition says, one value at a time.
func twin(c Codec, m *model.Model) *model.Model {
	out := m.Clone()
	var all []float64
	_ = each(m, func(spec model.Spec, b []byte, _ int) error {
		for i := 0; float(spec) && i < spec.Elements(); i++ {
			all = append(all, value(spec, b, i))
		}
		return nil
	})
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(math.Abs(all[b]), math.Abs(all[a])) })
	chosen := order[:kept(cmp.Or(c.fraction, 1), len(all))]
	_ = each(out, func(spec model.Spec, b []byte, from int) error {
		for i := 0; float(spec) && i < spec.Elements(); i++ {
			x := float32(all[from+i])
			switch c.name {
			case F16:
				h, _ := toF16(x)
				x = fromF16(h)
			case BF16:
				h, _ := toBF16(x)
				x = fromBF16(h)
			case Q8:
				lo := i / c.block * c.block
				most := 0.0
				for _, v := range all[from+lo : from+min(lo+c.block, spec.Elements())] {
					most = max(most, math.Abs(v))
				}
				scale := float64(float32(most / 127))
				if x = float32(math.RoundToEven(all[from+i]/scale) * scale); x == 0 {
					x = 0 // an int8 has no -0
				}
			case TopK:
				if !slices.Contains(chosen, from+i) {
					x = 0
				} else if c.half {
					h, _ := toF16(x)
					x = fromF16(h)
				}
			}
			put(spec, b, i, x)
		}
		return nil
	})
	return out
}

// What is decoded is what the definitions say, also after zstd; the bytes that are
// counted as decoded and as left over make the values again.
func TestDecode(t *testing.T) {
	t.Parallel()
	m := mixed(t)
	for _, text := range []string{"dense+zstd", "f16", "bf16", "q8", "q8:16", "topk:0.1", "topk:0.25:f16", "q8+feedback", "f16+zstd", "q8+zstd", "topk:0.1+zstd", "topk:0.01-feedback"} {
		c, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if c.name == Dense {
			m = model.New(m.Schema) // else it does not become smaller
		} else {
			m = mixed(t)
		}
		before := slices.Clone(m.Blob)
		raw, as, rest, err := c.Encode(m, nil)
		if err != nil || !bytes.Equal(m.Blob, before) || !c.Takes(as) {
			t.Errorf("%s: %v, %v", text, as, err)
			continue
		}
		got := model.New(m.Schema)
		if err := as.Decode(got.Blob, raw, m.Schema); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if want := twin(c, m); !slices.Equal(got.Blob, want.Blob) && text != "dense+zstd" {
			t.Errorf("%s: other values than its definition has", text)
		}
		if (rest != nil) != c.Feedback {
			t.Errorf("%s: %d bytes left over", text, len(rest))
		}
		if err := as.Decode(got.Blob, raw[:len(raw)-1], m.Schema); err == nil {
			t.Errorf("%s: a byte short, and decoded", text)
		}
		if err := as.Decode(got.Blob, append(raw, 0), m.Schema); err == nil {
			t.Errorf("%s: a byte too many, and decoded", text)
		}
	}
}

// What an encoding cannot hold, or would not make smaller, travels dense.
func TestFallback(t *testing.T) {
	t.Parallel()
	one := func(x float64) *model.Model { return vector(t, []bits{bits(math.Float32bits(float32(x))), 0, 0, 0}) }
	for _, c := range []struct {
		encoding string
		x        float64
		want     error
	}{
		{"f16", 65519, nil},
		{"f16", 65520, ErrRange},
		{"bf16", 3e38, nil},
		{"bf16", math.MaxFloat32, ErrRange},
		{"q8", 3e38, ErrRange},
		{"topk:0.25:f16", 1e6, ErrRange},
		{"topk:0.5", 1, ErrLarger},
		{"f16+zstd", 1, nil},
	} {
		e, _ := Parse(c.encoding)
		if _, _, _, err := e.Encode(one(c.x), nil); !errors.Is(err, c.want) {
			t.Errorf("%s of %g: %v, want %v", c.encoding, c.x, err, c.want)
		}
	}
	e, _ := Parse("topk:0.25")
	if _, _, _, err := e.Encode(one(1), make([]byte, 12)); err == nil {
		t.Error("what is left over has another size, and is added")
	}
	big := bits(math.Float32bits(math.MaxFloat32))
	if _, _, _, err := e.Encode(one(math.MaxFloat32), vector(t, []bits{big, 0, 0, 0}).Blob); !errors.Is(err, ErrRange) {
		t.Errorf("an overflow with what is left over: %v", err)
	}
}

// What a decoder refuses, in words.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	s := vector(t, make([]bits, 40)).Schema
	dst := make([]byte, s.Bytes())
	le := func(list ...uint32) (b []byte) {
		for _, v := range list {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return b
	}
	q := func(scale float32, v byte) []byte {
		return append(le(math.Float32bits(scale)), append(make([]byte, 39), v)...)
	}
	for _, c := range []struct {
		encoding string
		src      []byte
		want     string
	}{
		{"q8", q(float32(math.Inf(1)), 0), "the scale of block 0 is +Inf"},
		{"q8", q(float32(math.NaN()), 0), "NaN"},
		{"q8", q(-1, 0), "is -1, want 0 or more"},
		{"q8", q(1, 0x80), "value [39] is -128"},
		{"topk:0.05", le(3, 3, 0, 0), "place 3 of value 1, want one above 3"},
		{"topk:0.05", le(3, 2, 0, 0), "want one above 3"},
		{"topk:0.05", le(3, 40, 0, 0), "below 40"},
		{"topk:0.05", le(3, math.MaxUint32, 0, 0), "below 40"},
		{"f16+zstd", []byte("no frame"), "zstd: not a frame"},
	} {
		e, err := Parse(c.encoding)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Decode(dst, c.src, s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.encoding, err, c.want)
		}
	}
}

// FuzzDecode decodes hostile bytes: no panic, and finite scales alone.
func FuzzDecode(f *testing.F) {
	m := mixed(f)
	all := []string{"dense+zstd", "f16", "bf16+zstd", "q8", "q8:16+zstd", "topk:0.1", "topk:0.1:f16+zstd"}
	for i, text := range all {
		c, _ := Parse(text)
		if raw, as, _, err := c.Encode(m, nil); err == nil && as.Zstd == c.Zstd {
			f.Add(uint8(i), raw)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, src []byte) {
		c, err := Parse(all[int(which)%len(all)])
		if err != nil {
			t.Fatal(err)
		}
		dst := make([]byte, m.Schema.Bytes())
		if c.Decode(dst, src, m.Schema) != nil {
			return
		}
		again := make([]byte, len(dst))
		if err := c.Decode(again, src, m.Schema); err != nil || !bytes.Equal(dst, again) {
			t.Errorf("decoded twice: %v", err)
		}
	})
}

// BenchmarkCodec is one update of a million values, both ways.
func BenchmarkCodec(b *testing.B) {
	s, _ := model.NewSchema(model.Spec{Name: "w", Shape: []int{1_000_000}})
	m, r := model.New(s), rand.New(rand.NewPCG(1, 2))
	for i := range 1_000_000 {
		put(s[0], m.Blob, i, float32(r.NormFloat64()))
	}
	for _, text := range []string{"f16", "bf16", "q8", "q8+zstd", "topk:0.01-feedback"} {
		c, _ := Parse(text)
		raw, as, _, err := c.Encode(m, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Run("encode/"+text, func(b *testing.B) {
			b.SetBytes(int64(len(m.Blob)))
			for b.Loop() {
				_, _, _, _ = c.Encode(m, nil)
			}
		})
		dst := make([]byte, len(m.Blob))
		b.Run("decode/"+text, func(b *testing.B) {
			b.SetBytes(int64(len(m.Blob)))
			for b.Loop() {
				if err := as.Decode(dst, raw, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

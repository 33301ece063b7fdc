package model_test

import (
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
)

func mustSchema(t testing.TB, specs ...model.Spec) model.Schema {
	t.Helper()
	s, err := model.NewSchema(specs...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The bytes are worked by hand from the msgpack specification; the hashes are
// sha256sum of them.
func TestSchemaHash(t *testing.T) {
	t.Parallel()
	letters := make([]model.Spec, 16)
	for i := range letters {
		letters[i] = model.Spec{Name: "a" + string(rune('p'-i)), DType: model.I64}
	}
	sixteen := "dc0010"
	for c := 'a'; c <= 'p'; c++ {
		sixteen += "93" + "a261" + hex.EncodeToString([]byte(string(c))) + "a3693634" + "90"
	}
	for _, tc := range []struct {
		name   string
		specs  []model.Spec
		packed string
		sha    string
	}{
		{
			"empty", nil, "90",
			"9e076ceaf246b6003d9c2680a2b4cf0bffd069805902b0b5edeebf49039fe4bd",
		},
		{
			"two tensors, sorted",
			[]model.Spec{{Name: "b", DType: model.F64}, {Name: "a", Shape: []int{2, 300}}},
			"92" + "93" + "a161" + "a3663332" + "9202cd012c" + "93" + "a162" + "a3663634" + "90",
			"9fa9b44a7e76c3bb652d868595926c4ae06a6b0334358aca7626c30b4d65c0e3",
		},
		{
			"every width of a size, a long name",
			[]model.Spec{{Name: strings.Repeat("n", 40), DType: model.BF16, Shape: []int{0, 127, 128, 255, 256, 65535, 65536}}},
			"91" + "93" + "d928" + strings.Repeat("6e", 40) + "a462663136" + "97" + "00" + "7f" + "cc80" + "ccff" + "cd0100" + "cdffff" + "ce00010000",
			"79992de1e19f9e63f66e4eec82e8222cf19b60598a9104a37e5b0fc7c99dab96",
		},
		{
			"sixteen tensors given backwards", letters, sixteen,
			"6f53a7db8c16b46a75aeff7b61930879588a24d82b0efd29698f4751d939cc66",
		},
	} {
		packed, err := hex.DecodeString(tc.packed)
		if err != nil {
			t.Fatal(tc.name, err)
		}
		got := mustSchema(t, tc.specs...).Hash()
		if want := model.HashOf(packed).String(); got.String() != tc.sha || want != tc.sha {
			t.Errorf("%s: hash %v, of the packed bytes %s, want %s", tc.name, got, want, tc.sha)
		}
	}
}

func TestContentID(t *testing.T) {
	t.Parallel()
	// SHA-256 of the empty string and of "abc": FIPS 180-2, appendix B.1.
	for plain, want := range map[string]string{
		"":    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	} {
		id := model.HashOf([]byte(plain))
		if id.String() != want || id.IsZero() {
			t.Errorf("HashOf(%q) = %v, want %s", plain, id, want)
		}
		back, err := model.ParseHash(want)
		if err != nil || back != id {
			t.Errorf("ParseHash(%s) = %v, %v", want, back, err)
		}
	}
	var zero model.Hash
	if back, err := model.ParseHash(""); err != nil || back != zero || zero.String() != "" {
		t.Errorf("the zero id: %v, %v", back, err)
	}
	good := model.HashOf(nil).String()
	for _, bad := range []string{good[1:], good + "0", strings.ToUpper(good), strings.Repeat("0", 64), "g" + good[1:]} {
		if id, err := model.ParseHash(bad); err == nil || !id.IsZero() {
			t.Errorf("ParseHash(%q) = %v, want an error", bad, id)
		}
	}
}

func TestNewSchemaRefuses(t *testing.T) {
	t.Parallel()
	many := make([]model.Spec, model.MaxTensors+1)
	for name, specs := range map[string][]model.Spec{
		"no name":       {{}},
		"long name":     {{Name: strings.Repeat("x", model.MaxName+1)}},
		"control":       {{Name: "a\nb"}},
		"not UTF-8":     {{Name: "a\xff"}},
		"replaced":      {{Name: "a\ufffd"}},
		"reserved":      {{Name: "__metadata__"}},
		"same name":     {{Name: "a"}, {Name: "b"}, {Name: "a", DType: model.F64}},
		"negative":      {{Name: "a", Shape: []int{-1}}},
		"overflow":      {{Name: "a", Shape: []int{math.MaxInt, 2}}},
		"hidden by 0":   {{Name: "a", Shape: []int{math.MaxInt, 2, 0}}},
		"overflow sum":  {{Name: "a", Shape: []int{math.MaxInt / 4}}, {Name: "b", Shape: []int{math.MaxInt / 4}}},
		"dimensions":    {{Name: "a", Shape: make([]int, model.MaxDims+1)}},
		"unknown dtype": {{Name: "a", DType: 9}},
		"unknown rule":  {{Name: "a", Rule: 9}},
		"too many":      many,
	} {
		if s, err := model.NewSchema(specs...); !errors.Is(err, model.ErrSchema) {
			t.Errorf("%s: %v, %v, want ErrSchema", name, s, err)
		}
	}
}

func TestSchemaLayout(t *testing.T) {
	t.Parallel()
	s := mustSchema(t,
		model.Spec{Name: "w", Shape: []int{2, 3}},
		model.Spec{Name: "count", DType: model.I64, Rule: model.Max},
		model.Spec{Name: "none", Shape: []int{4, 0}},
		model.Spec{Name: "mean", DType: model.F64, Shape: []int{3}, Rule: model.Keep})
	for i, want := range []struct {
		name   string
		offset int
	}{{"count", 0}, {"mean", 8}, {"none", 32}, {"w", 32}} {
		if s[i].Name != want.name || s.Offset(i) != want.offset || s.Index(want.name) != i {
			t.Errorf("tensor %d is %q at %d (index %d), want %v", i, s[i].Name, s.Offset(i), s.Index(want.name), want)
		}
	}
	if s.Bytes() != 56 || s.Elements() != 10 || s.Index("x") != -1 {
		t.Errorf("%d bytes, %d elements", s.Bytes(), s.Elements())
	}
	shared := s.Shared()
	if len(shared) != 3 || shared.Index("mean") >= 0 || shared.Equal(s) || shared.Hash() == s.Hash() {
		t.Errorf("shared: %v", shared)
	}
	other := mustSchema(t, s...)
	other[0].Rule = model.Keep
	if !other.Equal(s) || other.Hash() != s.Hash() {
		t.Error("a rule is part of the layout")
	}
	other[3].Shape[0] = 3
	if other.Equal(s) || s[3].Shape[0] != 2 {
		t.Error("a shape is no part of the layout, or shared by two schemas")
	}
}

func TestSpelling(t *testing.T) {
	t.Parallel()
	for d := range model.DType(7) {
		got, err := model.ParseDType(d.String())
		if (err == nil) != d.Valid() || (d.Valid() && got != d) || (d.Size() > 0) != d.Valid() {
			t.Errorf("%v: %v, %v", d, got, err)
		}
	}
	for r := range model.Rule(5) {
		got, err := model.ParseRule(r.String())
		if (err == nil) != r.Valid() || (r.Valid() && got != r) {
			t.Errorf("%v: %v, %v", r, got, err)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	m := model.New(mustSchema(t,
		model.Spec{Name: "a", Shape: []int{2}},
		model.Spec{Name: "b", DType: model.F64, Shape: []int{1}},
		model.Spec{Name: "i", DType: model.I64}))
	if err := errors.Join(m.SetFloat32s("a", []float32{1, -2}), m.SetFloat64s("b", []float64{0.5})); err != nil {
		t.Fatal(err)
	}
	// 1, -2 as binary32 and 0.5 as binary64, little-endian.
	const want = "0000803f" + "000000c0" + "000000000000e03f" + "0000000000000000"
	if got := hex.EncodeToString(m.Blob); got != want {
		t.Errorf("blob %s, want %s", got, want)
	}
	c := m.Clone()
	if err := c.SetFloat32s("a", []float32{3, 4}); err != nil {
		t.Fatal(err)
	}
	a, err := m.Float32s("a")
	if err != nil || a[0] != 1 || a[1] != -2 {
		t.Errorf("a = %v, %v after a clone was changed", a, err)
	}
	if b, err := m.Float64s("b"); err != nil || b[0] != 0.5 {
		t.Errorf("b = %v, %v", b, err)
	}
	if m.Bytes("nope") != nil || cap(m.Bytes("a")) != 8 {
		t.Error("Bytes reaches beyond its tensor")
	}
	_, err32 := m.Float32s("b")
	_, err64 := m.Float64s("zz")
	for i, err := range []error{err32, err64, m.SetFloat32s("a", nil), m.SetFloat64s("b", nil), m.SetFloat64s("i", nil), m.SetFloat32s("zz", nil)} {
		if !errors.Is(err, model.ErrTensor) {
			t.Errorf("call %d: %v, want ErrTensor", i, err)
		}
	}
	m.Blob = m.Blob[1:]
	if err := m.Check(); !errors.Is(err, model.ErrSchema) {
		t.Errorf("Check of a short blob: %v", err)
	}
}

func TestDifference(t *testing.T) {
	t.Parallel()
	schema := func(specs ...model.Spec) model.Schema { return mustSchema(t, specs...) }
	want := schema(model.Spec{Name: "b", Shape: []int{2}}, model.Spec{Name: "w", Shape: []int{2, 3}})
	for text, s := range map[string]model.Schema{
		"":                                      schema(model.Spec{Name: "b", Shape: []int{2}, Rule: model.Keep}, model.Spec{Name: "w", Shape: []int{2, 3}}),
		`tensor "b" is missing`:                 schema(model.Spec{Name: "w", Shape: []int{2, 3}}),
		`tensor "w" is f32[3 2], want f32[2 3]`: schema(model.Spec{Name: "b", Shape: []int{2}}, model.Spec{Name: "w", Shape: []int{3, 2}}),
		`tensor "b" is f16[2], want f32[2]`:     schema(model.Spec{Name: "b", DType: model.F16, Shape: []int{2}}, model.Spec{Name: "w", Shape: []int{2, 3}}),
		`tensor "a" is one too many`:            schema(model.Spec{Name: "a"}, model.Spec{Name: "b", Shape: []int{2}}, model.Spec{Name: "w", Shape: []int{2, 3}}),
	} {
		if got := s.Difference(want); got != text {
			t.Errorf("%q, want %q", got, text)
		}
	}
	if got := want[1].Place(4); len(got) != 2 || got[0] != 1 || got[1] != 1 {
		t.Errorf("the place of element 4 of 2 x 3 is %v", got)
	}
}

package wire

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
)

func inspect(t *testing.T, payload []byte) (*Inspection, string) {
	t.Helper()
	in, err := Inspect(payload)
	if (err == nil) != (in.Problem == nil) {
		t.Errorf("problem %v, error %v", in.Problem, err)
	}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	return in, string(text)
}

func TestInspectTensors(t *testing.T) {
	t.Parallel()
	m := testModel(t)
	h := header(t, KindModel)
	in, text := inspect(t, seal(t, h, encode(t, Model{Version: 7, Tensors: m}), nil))
	if in.Signature != "none" || in.Form != "inline" || len(in.Tensors) != 4 {
		t.Fatalf("%s", text)
	}
	for i, want := range []struct {
		name           string
		min, max, mean float64
	}{
		{"fedmq.mean", -1e9, 3, (0.25 - 1e9 + 3) / 3},
		{"layers.0.bias", -2, 1, -0.5},
		{"layers.0.weight", -2, 7, 6.5 / 6},
		{"steps", 42, 42, 42},
	} {
		v := in.Tensors[i]
		if v.Name != want.name || *v.Min != want.min || *v.Max != want.max || math.Abs(*v.Mean-want.mean) > 1e-6 {
			t.Errorf("%s: min %v max %v mean %v, want %+v", v.Name, *v.Min, *v.Max, *v.Mean, want)
		}
	}
	for _, part := range []string{`"version":7`, m.ContentID().String(), m.Schema.Hash().String(), `"rule":"keep"`, `"shape":[2,3]`} {
		if !strings.Contains(text, part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
}

// Values that JSON does not have are counted, or left out.
func TestInspectNotFinite(t *testing.T) {
	t.Parallel()
	m := testDelta(t)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	if err := m.SetFloat32s("layers.0.weight", []float32{nan, inf, -inf, 3, nan, 1}); err != nil {
		t.Fatal(err)
	}
	copy(m.Bytes("layers.0.bias"), []byte{0x00, 0x7c, 0x01, 0xfe}) // +Inf, NaN
	in, _ := inspect(t, seal(t, header(t, KindUpdate), encode(t, Update{Tensors: m}), nil))
	if v := in.Tensors[1]; v.NotFinite != 4 || *v.Min != 1 || *v.Max != 3 || *v.Mean != 2 {
		t.Errorf("f32: %+v", v)
	}
	if v := in.Tensors[0]; v.NotFinite != 2 || v.Min != nil || v.Mean != nil {
		t.Errorf("f16: %+v", v)
	}
	var huge TensorView
	huge.measure(model.F64, []byte("\xff\xff\xff\xff\xff\xff\xef\x7f\xff\xff\xff\xff\xff\xff\xef\xff"))
	if huge.Min == nil || huge.Mean != nil {
		t.Errorf("a mean that overflows: %+v", huge)
	}
}

// A broken message is shown as far as it goes, with what is wrong.
func TestInspectBroken(t *testing.T) {
	t.Parallel()
	good := seal(t, header(t, KindUpdate), encode(t, testUpdate(t)), testSigner(t, 2))
	cut := good[:len(good)-10]
	changed := append([]byte{}, good...)
	changed[len(changed)-68] ^= 1
	for name, c := range map[string]struct {
		payload              []byte
		format               string
		stage                int
		header, body, signed bool
	}{
		"good":          {good, "fedmq", 0, true, true, true},
		"cut":           {cut, "fedmq", StageStructure, true, false, false},
		"body changed":  {changed, "fedmq", StageHash, true, true, true},
		"body no good":  {seal(t, header(t, KindUpdate), []byte{0x90}, nil), "fedmq", StageDecode, true, false, true},
		"header broken": {append([]byte{0x94, 1, 0xc4, 1, 0xc1, 0xc4, 0, 0xc4}, 0), "fedmq", StageStructure, false, false, false},
		"text":          {[]byte("hello"), "unknown", StageStructure, false, false, false},
		"json":          {[]byte(`{"phase":"open"}`), "json", 0, false, false, false},
		"json broken":   {[]byte(`{"phase":`), "unknown", StageStructure, false, false, false},
		"empty":         {nil, "empty", 0, false, false, false},
	} {
		in, text := inspect(t, c.payload)
		stage := 0
		if in.Problem != nil {
			stage = in.Problem.Stage
		}
		if in.Format != c.format || stage != c.stage || (in.Header != nil) != c.header || (in.Body != nil) != c.body || (in.Signature != "") != c.signed {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// A model whose header claims another one is shown, with the difference.
func TestModelMatches(t *testing.T) {
	t.Parallel()
	m := Model{Version: 7, Tensors: testModel(t)}
	h := header(t, KindModel)
	if err := m.Matches(h); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		reason string
		change func(*Header)
	}{
		{ReasonWrongBase, func(h *Header) { h.Base[0] ^= 1 }},
		{ReasonSchemaMismatch, func(h *Header) { h.Schema[0] ^= 1 }},
		{ReasonMalformed, func(h *Header) { h.Round++ }},
	} {
		h := header(t, KindModel)
		c.change(&h)
		wantRefusal(t, m.Matches(h), c.reason, StageSchema)
		if in, _ := inspect(t, seal(t, h, encode(t, m), nil)); in.Body == nil || in.Problem == nil {
			t.Errorf("%s: body %v, problem %v", c.reason, in.Body, in.Problem)
		}
	}
}

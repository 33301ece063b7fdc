package model_test

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/fedmq/fedmq/model"
)

func TestElement(t *testing.T) {
	t.Parallel()
	half := func(bits uint16) []byte { return binary.LittleEndian.AppendUint16(nil, bits) }
	for _, c := range []struct {
		name string
		of   model.DType
		b    []byte
		want float64
	}{
		{"f32", model.F32, binary.LittleEndian.AppendUint32(nil, math.Float32bits(-0.1)), float64(float32(-0.1))},
		{"f64", model.F64, binary.LittleEndian.AppendUint64(nil, math.Float64bits(0.1)), 0.1},
		{"i64", model.I64, binary.LittleEndian.AppendUint64(nil, 1<<64-5), -5},
		{"bf16", model.BF16, half(0xbfc0), -1.5},
		{"f16 zero", model.F16, half(0x0000), 0},
		{"f16 least", model.F16, half(0x0001), math.Ldexp(1, -24)},
		{"f16 least normal", model.F16, half(0x0400), math.Ldexp(1, -14)},
		{"f16 third", model.F16, half(0x3555), 0.333251953125},
		{"f16 greatest", model.F16, half(0x7bff), 65504},
		{"f16 negative", model.F16, half(0xc000), -2},
		{"f16 infinity", model.F16, half(0xfc00), math.Inf(-1)},
	} {
		if got := c.of.Element(append(c.b, 0xff)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := model.F16.Element(half(0x7c01)); !math.IsNaN(got) {
		t.Errorf("f16 NaN: %v", got)
	}
}

func TestStatisticsSchema(t *testing.T) {
	t.Parallel()
	s := model.StatisticsSchema(3, 0)
	if len(s) != 3 || s[0].Name != model.StatM2Name || s[1].Name != model.StatMeanName || s[2].Name != model.StatNName || s.Bytes() != 72 {
		t.Errorf("%v", s)
	}
}

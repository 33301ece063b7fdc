// Package codec has the encodings in which the values of an update travel
// (docs/spec/encoding.md): f16, bf16, q8 and topk, each with zstd after it or without.
// Start with [Parse]. It is arithmetic on bytes: it keeps nothing, and what a decoder is
// given never chooses how much memory it takes.
package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/zframe"
	"github.com/fedmq/fedmq/model"
)

// ErrRange means values that an encoding cannot hold: the update travels dense.
var ErrRange = errors.New("codec: out of the encoding's range")

// ErrLarger means an encoding that saves nothing for such a schema.
var ErrLarger = errors.New("codec: not smaller than the values as they are")

// form is one encoding of the values. Tensors of whole numbers travel as they are.
type form interface {
	// size is how many bytes the values of a schema take.
	size(s model.Schema) int
	// encode fills dst, of size bytes, with the values of m. It fails with ErrRange.
	encode(dst []byte, m *model.Model) error
	// decode fills m with what src, of size bytes, says.
	decode(m *model.Model, src []byte) error
}

// Encode returns the bytes of the values of m, and the encoding that they are in: with
// zstd where that makes them fewer. With feedback e is what earlier updates have left
// over, nil for nothing, and rest what this one leaves: f32 values, one for each
// value of a float tensor, in schema order (1901.09847). It fails with [ErrRange] or
// [ErrLarger]. M is not changed.
func (c Codec) Encode(m *model.Model, e []byte) (raw []byte, as Codec, rest []byte, err error) {
	if c.Feedback {
		if m, err = plus(m, e); err != nil {
			return nil, c, nil, err
		}
	}
	if raw, as, err = c.pack(m); err != nil || !c.Feedback {
		return raw, as, nil, err
	}
	decoded := model.New(m.Schema)
	if err = as.Decode(decoded.Blob, raw, m.Schema); err == nil {
		rest, err = left(m, decoded)
	}
	return raw, as, rest, err
}

// pack encodes without feedback.
func (c Codec) pack(m *model.Model) ([]byte, Codec, error) {
	as := c
	as.Feedback, as.Zstd = c.name == TopK, false // which the bytes do not show: the shorter text
	f := c.form()
	raw := make([]byte, f.size(m.Schema))
	if err := f.encode(raw, m); err != nil {
		return nil, as, err
	}
	if c.Zstd && len(raw) <= zframe.MaxContent {
		packed, err := zframe.Compress(raw)
		if err != nil {
			return nil, as, fmt.Errorf("codec: %w", err)
		}
		if len(packed) < len(raw) {
			raw, as.Zstd = packed, true
		}
	}
	if len(raw) >= m.Schema.Bytes() {
		return nil, as, fmt.Errorf("%w: %d bytes as %s, %d dense", ErrLarger, len(raw), as, m.Schema.Bytes())
	}
	return raw, as, nil
}

// Decode fills dst, of s.Bytes() bytes, with the values that src says.
func (c Codec) Decode(dst, src []byte, s model.Schema) error {
	f := c.form()
	want := f.size(s)
	if c.Zstd {
		var err error
		if src, err = zframe.Decompress(src, max(want, 1)); err != nil {
			return err
		}
	}
	if len(src) != want {
		return fmt.Errorf("%d bytes, want %d", len(src), want)
	}
	return f.decode(&model.Model{Schema: s, Blob: dst}, src)
}

// each calls fn for every tensor with its values and its place among the float values of
// all tensors, from from on.
func each(m *model.Model, fn func(spec model.Spec, values []byte, from int) error) error {
	off, from := 0, 0
	for _, spec := range m.Schema {
		n := spec.Bytes()
		if err := fn(spec, m.Blob[off:off+n], from); err != nil {
			return err
		}
		off += n
		if float(spec) {
			from += spec.Elements()
		}
	}
	return nil
}

// float reports whether an encoding has something to say of a tensor.
func float(spec model.Spec) bool { return spec.DType == model.F32 || spec.DType == model.F64 }

// floats is how many values of float tensors a schema has.
func floats(s model.Schema) (n int) {
	for _, spec := range s {
		if float(spec) {
			n += spec.Elements()
		}
	}
	return n
}

// others is how many bytes the tensors have that travel as they are.
func others(s model.Schema) (n int) {
	for _, spec := range s {
		if !float(spec) {
			n += spec.Bytes()
		}
	}
	return n
}

// value is value i of a float tensor.
func value(spec model.Spec, b []byte, i int) float64 {
	if spec.DType == model.F64 {
		return math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])))
}

// put sets value i of a float tensor.
func put(spec model.Spec, b []byte, i int, x float32) {
	if spec.DType == model.F64 {
		binary.LittleEndian.PutUint64(b[8*i:], math.Float64bits(float64(x)))
		return
	}
	binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x))
}

// rangeError says which value an encoding cannot hold.
func rangeError(spec model.Spec, i int, x float64) error {
	return fmt.Errorf("%w: tensor %.80q, value %v is %g", ErrRange, spec.Name, spec.Place(i), x)
}

package model

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// ErrTensor is wrapped when a model has no tensor of the wanted name, type or size.
var ErrTensor = errors.New("model: no such tensor")

// Model is a schema and its values. Blob holds them raw, little-endian, in
// schema order, without padding; len(Blob) == Schema.Bytes().
type Model struct {
	Schema Schema
	Blob   []byte
}

// New returns a model of zeros.
func New(s Schema) *Model { return &Model{Schema: s, Blob: make([]byte, s.Bytes())} }

// Check reports a blob whose size is not the schema's.
func (m *Model) Check() error {
	if want := m.Schema.Bytes(); len(m.Blob) != want {
		return fmt.Errorf("%w: the blob has %d bytes, the schema %d", ErrSchema, len(m.Blob), want)
	}
	return nil
}

// ContentID names the model's values.
func (m *Model) ContentID() Hash { return ContentOf(m.Blob) }

// Clone returns a model with its own values; the schema is shared.
func (m *Model) Clone() *Model { return &Model{Schema: m.Schema, Blob: slices.Clone(m.Blob)} }

// Bytes returns the tensor's part of the blob, nil if there is none of that
// name. The slice shares memory with the model.
func (m *Model) Bytes(name string) []byte {
	i := m.Schema.Index(name)
	if i < 0 {
		return nil
	}
	at := m.Schema.Offset(i)
	end := at + m.Schema[i].Bytes()
	return m.Blob[at:end:end]
}

// typed finds a tensor of the wanted type.
func (m *Model) typed(name string, d DType) ([]byte, error) {
	i := m.Schema.Index(name)
	if i < 0 {
		return nil, fmt.Errorf("%w: %q", ErrTensor, name)
	}
	if got := m.Schema[i].DType; got != d {
		return nil, fmt.Errorf("%w: %q is %v, want %v", ErrTensor, name, got, d)
	}
	return m.Bytes(name), nil
}

// Float32s returns a copy of an f32 tensor, row-major.
func (m *Model) Float32s(name string) ([]float32, error) {
	b, err := m.typed(name, F32)
	if err != nil {
		return nil, err
	}
	v := make([]float32, len(b)/4)
	for i := range v {
		v[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return v, nil
}

// SetFloat32s overwrites an f32 tensor; len(v) must be its number of elements.
func (m *Model) SetFloat32s(name string, v []float32) error {
	b, err := m.typed(name, F32)
	if err != nil {
		return err
	}
	if 4*len(v) != len(b) {
		return fmt.Errorf("%w: %q has %d elements, got %d", ErrTensor, name, len(b)/4, len(v))
	}
	for i, x := range v {
		binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x))
	}
	return nil
}

// Float64s returns a copy of an f64 tensor, row-major.
func (m *Model) Float64s(name string) ([]float64, error) {
	b, err := m.typed(name, F64)
	if err != nil {
		return nil, err
	}
	v := make([]float64, len(b)/8)
	for i := range v {
		v[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return v, nil
}

// SetFloat64s overwrites an f64 tensor; len(v) must be its number of elements.
func (m *Model) SetFloat64s(name string, v []float64) error {
	b, err := m.typed(name, F64)
	if err != nil {
		return err
	}
	if 8*len(v) != len(b) {
		return fmt.Errorf("%w: %q has %d elements, got %d", ErrTensor, name, len(b)/8, len(v))
	}
	for i, x := range v {
		binary.LittleEndian.PutUint64(b[8*i:], math.Float64bits(x))
	}
	return nil
}

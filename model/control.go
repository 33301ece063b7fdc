package model

import (
	"strings"
)

// controlPrefix begins the name of a control variate.
const controlPrefix = "fedmq.c/"

// ControlName is the tensor that holds the control variate of a tensor: how far the
// gradients of all sites together lean, which SCAFFOLD keeps beside the model. It has
// that tensor's type and shape.
func ControlName(tensor string) string { return controlPrefix + tensor }

// IsControl reports a control variate.
func IsControl(name string) bool { return strings.HasPrefix(name, controlPrefix) }

// Controls are those of a schema's shared tensors, with a rule.
func (s Schema) controls(rule Rule) []Spec {
	var list []Spec
	for _, spec := range s.Shared() {
		if !IsControl(spec.Name) {
			list = append(list, Spec{Name: ControlName(spec.Name), DType: spec.DType, Shape: spec.Shape, Rule: rule})
		}
	}
	return list
}

// Controlled is what an update carries of a model with control variates: its shared
// tensors, and for each the change of its variate. Errors wrap [ErrSchema].
func (s Schema) Controlled() (Schema, error) {
	return NewSchema(append(s.Shared(), s.controls(Mean)...)...)
}

// HasControls reports whether the schema has the variates of its shared tensors.
func (s Schema) HasControls() bool {
	list := s.controls(Keep)
	for _, want := range list {
		if i := s.Index(want.Name); i < 0 || !(Schema{s[i]}).Equal(Schema{want}) {
			return false
		}
	}
	return len(list) > 0
}

// Plain is the schema without control variates.
func (s Schema) Plain() Schema {
	out := make(Schema, 0, len(s))
	for _, spec := range s {
		if !IsControl(spec.Name) {
			out = append(out, spec)
		}
	}
	return out
}

// WithControls returns m with control variates that are 0, with the rule keep; m itself
// if it has them. Errors wrap [ErrSchema].
func (m *Model) WithControls() (*Model, error) {
	if m.Schema.HasControls() {
		return m, nil
	}
	s, err := NewSchema(append(m.Schema.Plain(), m.Schema.controls(Keep)...)...)
	if err != nil {
		return nil, err
	}
	out := &Model{Schema: s}
	if m.Blob != nil {
		out = New(s)
		out.fill(m)
	}
	return out, nil
}

// WithoutControls returns m without its control variates, a copy if it has some.
func (m *Model) WithoutControls() *Model {
	plain := m.Schema.Plain()
	if len(plain) == len(m.Schema) {
		return m
	}
	out := New(plain)
	out.fill(m)
	return out
}

// fill copies the tensors that from has too.
func (m *Model) fill(from *Model) {
	for _, spec := range m.Schema {
		if from.Schema.Index(spec.Name) >= 0 {
			copy(m.Bytes(spec.Name), from.Bytes(spec.Name))
		}
	}
}

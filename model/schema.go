package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a schema. They keep every size below far from integer overflow and
// a table of tensors small enough to travel in one message.
const (
	MaxTensors = 4096 // tensors of one schema
	MaxName    = 256  // bytes of a tensor's name
	MaxDims    = 8    // dimensions of one tensor
)

// ErrSchema is wrapped by every error about an unusable schema.
var ErrSchema = errors.New("model: bad schema")

// Spec is the layout of one tensor. An empty Shape is a scalar (one element).
type Spec struct {
	Name  string // 1..256 bytes of printable UTF-8
	DType DType
	Shape []int // row-major, each >= 0
	Rule  Rule
}

// Elements returns the number of elements. It is meant for specs of a schema
// made by [NewSchema], whose sizes cannot overflow.
func (s Spec) Elements() int {
	n := 1
	for _, d := range s.Shape {
		n *= d
	}
	return n
}

// Bytes returns the size of the tensor's values in a blob.
func (s Spec) Bytes() int { return s.Elements() * s.DType.Size() }

// Place returns the indices of element i, row-major.
func (s Spec) Place(i int) []int {
	at := make([]int, len(s.Shape))
	for d := len(at) - 1; d >= 0; d-- {
		at[d], i = i%s.Shape[d], i/s.Shape[d]
	}
	return at
}

// check validates one spec and returns its size in bytes.
func (s Spec) check() (int, error) {
	if err := checkName(s.Name); err != nil {
		return 0, err
	}
	if !s.DType.Valid() || !s.Rule.Valid() {
		return 0, fmt.Errorf("%w: tensor %q: %v, %v", ErrSchema, s.Name, s.DType, s.Rule)
	}
	if len(s.Shape) > MaxDims {
		return 0, fmt.Errorf("%w: tensor %q has %d dimensions, at most %d", ErrSchema, s.Name, len(s.Shape), MaxDims)
	}
	// A zero dimension must not hide an overflow of the others: readers that
	// multiply in another order would see it.
	n, zero := s.DType.Size(), false
	for _, d := range s.Shape {
		switch {
		case d < 0:
			return 0, fmt.Errorf("%w: tensor %q has the dimension %d", ErrSchema, s.Name, d)
		case d == 0:
			zero = true
		case n > math.MaxInt/d:
			return 0, fmt.Errorf("%w: tensor %q is too large", ErrSchema, s.Name)
		default:
			n *= d
		}
	}
	if zero {
		return 0, nil
	}
	return n, nil
}

func checkName(name string) error {
	if len(name) < 1 || len(name) > MaxName {
		return fmt.Errorf("%w: a tensor's name has %d bytes, want 1 to %d", ErrSchema, len(name), MaxName)
	}
	if name == metadataKey {
		return fmt.Errorf("%w: the name %q is reserved by safetensors", ErrSchema, name)
	}
	// JSON readers put U+FFFD where bytes were no UTF-8: two names could fall together.
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return fmt.Errorf("%w: name %.64q is not printable UTF-8", ErrSchema, name)
	}
	return nil
}

// Schema is the layout of a model: its tensors sorted by name, compared as
// bytes. That is "schema order", the order of values in a blob. Make one with
// [NewSchema]; it must not change afterwards.
type Schema []Spec

// NewSchema sorts and validates the tensors and returns them as a schema that
// shares no memory with specs. Errors wrap [ErrSchema].
func NewSchema(specs ...Spec) (Schema, error) {
	if len(specs) > MaxTensors {
		return nil, fmt.Errorf("%w: %d tensors, at most %d", ErrSchema, len(specs), MaxTensors)
	}
	s := make(Schema, len(specs))
	total := 0
	for i, spec := range specs {
		n, err := spec.check()
		if err != nil {
			return nil, err
		}
		if n > math.MaxInt-total {
			return nil, fmt.Errorf("%w: the model is too large", ErrSchema)
		}
		total += n
		spec.Shape = slices.Clone(spec.Shape)
		s[i] = spec
	}
	slices.SortStableFunc(s, func(a, b Spec) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(s); i++ {
		if s[i].Name == s[i-1].Name {
			return nil, fmt.Errorf("%w: two tensors are named %q", ErrSchema, s[i].Name)
		}
	}
	return s, nil
}

// Bytes returns the size of a blob of this schema.
func (s Schema) Bytes() int { return s.Offset(len(s)) }

// Elements returns the number of elements over all tensors.
func (s Schema) Elements() int {
	n := 0
	for _, spec := range s {
		n += spec.Elements()
	}
	return n
}

// Offset returns where tensor i starts in a blob; Offset(len(s)) is its end.
func (s Schema) Offset(i int) int {
	n := 0
	for _, spec := range s[:i] {
		n += spec.Bytes()
	}
	return n
}

// Index returns the position of the tensor called name, or -1.
func (s Schema) Index(name string) int {
	i, ok := slices.BinarySearchFunc(s, name, func(spec Spec, name string) int {
		return strings.Compare(spec.Name, name)
	})
	if !ok {
		return -1
	}
	return i
}

// Shape is that of the tensor of a name, nil if there is none.
func (s Schema) Shape(name string) []int {
	if i := s.Index(name); i >= 0 {
		return s[i].Shape
	}
	return nil
}

// Equal reports whether both have the same names, types and shapes, and so the
// same [Schema.Hash]. Rules are not compared.
func (s Schema) Equal(o Schema) bool {
	return slices.EqualFunc(s, o, func(a, b Spec) bool {
		return a.Name == b.Name && a.DType == b.DType && slices.Equal(a.Shape, b.Shape)
	})
}

// Difference says in which tensor s is not want, as [Schema.Equal] compares; ""
// if they are equal.
func (s Schema) Difference(want Schema) string {
	for _, w := range want {
		i := s.Index(w.Name)
		if i < 0 {
			return fmt.Sprintf("tensor %q is missing", w.Name)
		}
		if g := s[i]; g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) {
			return fmt.Sprintf("tensor %q is %v%v, want %v%v", w.Name, g.DType, g.Shape, w.DType, w.Shape)
		}
	}
	for _, g := range s {
		if want.Index(g.Name) < 0 {
			return fmt.Sprintf("tensor %q is one too many", g.Name)
		}
	}
	return ""
}

// Shared returns the tensors that an update carries: those whose rule is not
// [Keep], in schema order.
func (s Schema) Shared() Schema {
	out := make(Schema, 0, len(s))
	for _, spec := range s {
		if spec.Rule != Keep {
			out = append(out, spec)
		}
	}
	return out
}

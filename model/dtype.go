package model

import "fmt"

// DType is the element type of a tensor. The zero value is [F32].
type DType uint8

// The element types that fedmq carries. All are stored little-endian.
const (
	F32  DType = iota // IEEE-754 binary32, 4 bytes: the default
	F16               // IEEE-754 binary16, 2 bytes
	BF16              // the upper half of a binary32, 2 bytes
	F64               // IEEE-754 binary64, 8 bytes
	I64               // two's complement, 8 bytes; follows its tensor's Rule
)

var dtypes = [...]struct {
	name string // as spelled on the wire
	safe string // as spelled in a safetensors header
	size int
}{
	F32:  {"f32", "F32", 4},
	F16:  {"f16", "F16", 2},
	BF16: {"bf16", "BF16", 2},
	F64:  {"f64", "F64", 8},
	I64:  {"i64", "I64", 8},
}

// Valid reports whether d is one of the types above.
func (d DType) Valid() bool { return int(d) < len(dtypes) }

// Size returns the bytes of one element, 0 for an unknown type.
func (d DType) Size() int {
	if !d.Valid() {
		return 0
	}
	return dtypes[d].size
}

// String returns the wire spelling, such as "f32".
func (d DType) String() string {
	if !d.Valid() {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].name
}

// ParseDType reads the wire spelling of a type.
func ParseDType(s string) (DType, error) {
	for i, t := range dtypes {
		if t.name == s {
			return DType(i), nil
		}
	}
	return 0, fmt.Errorf("model: unknown dtype %.16q, want f32, f16, bf16, f64 or i64", s)
}

// Rule says how the sites' values of one tensor become the next global value.
// The zero value is [Mean]. A rule is no part of the schema hash.
type Rule uint8

// The rules of a tensor.
const (
	Mean Rule = iota // weighted mean of the sites' updates
	Max              // largest of the sites' values (integer tensors)
	Keep             // never travels up: the global value stays, or is set by the aggregator
)

var rules = [...]string{Mean: "mean", Max: "max", Keep: "keep"}

// Valid reports whether r is one of the rules above.
func (r Rule) Valid() bool { return int(r) < len(rules) }

// String returns the wire spelling, such as "mean".
func (r Rule) String() string {
	if !r.Valid() {
		return fmt.Sprintf("Rule(%d)", uint8(r))
	}
	return rules[r]
}

// ParseRule reads the wire spelling of a rule.
func ParseRule(s string) (Rule, error) {
	for i, name := range rules {
		if name == s {
			return Rule(i), nil
		}
	}
	return 0, fmt.Errorf("model: unknown rule %.16q, want mean, max or keep", s)
}

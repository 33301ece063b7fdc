package fold

import (
	"encoding/binary"
	"fmt"
	"math"
)

// ValueError is the first value that cannot be added: of those that are not
// finite if there are any, else of those beyond Limit. It wraps [ErrNotFinite]
// or [ErrOutOfRange].
type ValueError struct {
	Index int // among the values checked
	Value float64
	Limit float64 // of |Value|, where it is finite
}

func (e *ValueError) Error() string {
	if !finite(e.Value) {
		return fmt.Sprintf("%v: value %d is %g", ErrNotFinite, e.Index, e.Value)
	}
	return fmt.Sprintf("%v: value %d is %g, at most %g", ErrOutOfRange, e.Index, e.Value, e.Limit)
}

func (e *ValueError) Unwrap() error {
	if !finite(e.Value) {
		return ErrNotFinite
	}
	return ErrOutOfRange
}

// outside32 returns the value that is to blame, nil if all are within limit,
// the bits of a finite number.
func outside32(x []byte, limit uint32) error {
	beyond := -1
	for i := 0; i < len(x)/4; i++ {
		switch bits := binary.LittleEndian.Uint32(x[4*i:]) & mask32; {
		case bits >= inf32:
			return &ValueError{Index: i, Value: float64(math.Float32frombits(binary.LittleEndian.Uint32(x[4*i:])))}
		case bits > limit && beyond < 0:
			beyond = i
		}
	}
	if beyond < 0 {
		return nil
	}
	return &ValueError{
		Index: beyond, Value: float64(math.Float32frombits(binary.LittleEndian.Uint32(x[4*beyond:]))),
		Limit: float64(math.Float32frombits(limit)),
	}
}

// outside64 is outside32 for float64.
func outside64(x []byte, limit uint64) error {
	beyond := -1
	for i := 0; i < len(x)/8; i++ {
		switch bits := binary.LittleEndian.Uint64(x[8*i:]) & mask64; {
		case bits >= inf64:
			return &ValueError{Index: i, Value: math.Float64frombits(binary.LittleEndian.Uint64(x[8*i:]))}
		case bits > limit && beyond < 0:
			beyond = i
		}
	}
	if beyond < 0 {
		return nil
	}
	return &ValueError{
		Index: beyond, Value: math.Float64frombits(binary.LittleEndian.Uint64(x[8*beyond:])), Limit: math.Float64frombits(limit),
	}
}

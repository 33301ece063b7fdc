package strategy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// mixed is a model whose tensors have values of 4, 8 and 4 bytes.
func mixed(t testing.TB) *model.Model {
	t.Helper()
	return model.New(mustSchema(t,
		model.Spec{Name: "a", DType: model.F32, Shape: []int{3}},
		model.Spec{Name: "b", DType: model.F64, Shape: []int{2}},
		model.Spec{Name: "c", DType: model.F32, Shape: []int{2}}))
}

// spoil puts a value at offset off of a mixed model and returns its length.
func spoil(blob []byte, off int, v float64) (size int) {
	if off >= 12 && off < 28 {
		binary.LittleEndian.PutUint64(blob[off:], math.Float64bits(v))
		return 8
	}
	binary.LittleEndian.PutUint32(blob[off:], math.Float32bits(float32(v)))
	return 4
}

// TestCheckPart: however an update is cut, a bad value is found in the part
// that holds all of it, with the same reason as in the whole update, and no
// other part is called bad.
func TestCheckPart(t *testing.T) {
	t.Parallel()
	for reason, v := range map[error]float64{fold.ErrNotFinite: math.NaN(), fold.ErrOutOfRange: 65, nil: 64} {
		for _, off := range []int{0, 4, 8, 12, 20, 28, 32} {
			delta := mixed(t)
			size := spoil(delta.Blob, off, v)
			s := begin(t, mixed(t), fold.Grid{B: 6, W: 10})
			if err := s.Check(update(delta, 3)); !errors.Is(err, reason) {
				t.Fatalf("%v at %d: the whole update: %v, want %v", v, off, err, reason)
			}
			for n := 1; n <= len(delta.Blob); n++ {
				for at := 0; at < len(delta.Blob); at += n {
					end := min(at+n, len(delta.Blob))
					want := error(nil)
					if at <= off && off+size <= end {
						want = reason
					}
					if err := s.CheckPart(update(nil, 3), delta.Blob[at:end], at); !errors.Is(err, want) {
						t.Fatalf("%v at %d: the part [%d,%d): %v, want %v", v, off, at, end, err, want)
					}
				}
			}
		}
	}
}

// TestResultInto: the bits of Result, in the buffer that was given.
func TestResultInto(t *testing.T) {
	t.Parallel()
	base, delta := mixed(t), mixed(t)
	for i := range 4 {
		spoil(base.Blob, 4*i, 1.5)
		spoil(delta.Blob, 4*i, 0.25)
	}
	s := begin(t, base, fold.Grid{B: 6, W: 10})
	buf := bytes.Repeat([]byte{0xff}, len(base.Blob))
	room := func(n int) []byte { return buf[:n] }
	if _, err := s.Result(nil, room); !errors.Is(err, strategy.ErrEmpty) {
		t.Errorf("without an update: %v", err)
	}
	add(t, s, delta, 3)
	want := result(t, s)
	got, err := s.Result(nil, room)
	if err != nil || !bytes.Equal(got.Model.Blob, want.Blob) || &got.Model.Blob[0] != &buf[0] {
		t.Errorf("got %x in the buffer: %v, want %x; %v", got.Model.Blob, &got.Model.Blob[0] == &buf[0], want.Blob, err)
	}
}

package site

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// errNotFinite: a trained model, or statistics, hold a NaN or an infinity.
var errNotFinite = errors.New("not finite")

// leavesFrom is from which size on a difference is hashed as it is made: a smaller one
// goes in one message, and is hashed with that.
const leavesFrom = wire.DefaultPart

// delta returns local - global over the shared tensors (S-18): one subtraction
// per element in the tensor's own type, integers modulo 2^64. It fails with
// errNotFinite naming the tensor, and first with errChanged if global is not what its
// imprint was taken of. The difference takes the place of global,
// whose values are gone, so that it needs no memory of its own: shared tensors
// only move to the front. A large one comes with the leaves of its bytes.
func delta(local, global *model.Model, was imprint) (*model.Model, model.Leaves, error) {
	if d := local.Schema.Difference(global.Schema); d != "" {
		return nil, nil, fmt.Errorf("the trained model is not as the one received: %s", d)
	}
	if err := local.Check(); err != nil {
		return nil, nil, err
	}
	shared := global.Schema.Shared()
	d := &model.Model{Schema: shared, Blob: global.Blob[:shared.Bytes()]}
	is, to := imprint(0), 0
	var leaves model.Leaves
	var err error
	eachBlock(global.Schema, func(spec model.Spec, off, at, n int) {
		is.add(global.Blob[off : off+n])
		if spec.Rule == model.Keep || err != nil { // the imprint is wanted whole
			return
		}
		err = subtract(spec, at, d.Blob[to:to+n], local.Blob[off:off+n], global.Blob[off:off+n])
		to += n
		leaves = hashed(leaves, d.Blob, to)
	})
	if is != was {
		err = errChanged
	}
	if err != nil {
		return nil, nil, err
	}
	return d, leaves, nil
}

// hashed adds the leaves of the first n bytes of a large blob, which are made: whole ones,
// and with the last byte what is left.
func hashed(l model.Leaves, blob []byte, n int) model.Leaves {
	if len(blob) < leavesFrom {
		return nil
	}
	if l == nil {
		l = model.NewLeaves(len(blob)/model.Leaf + 1)[:0]
	}
	done := l.Count() * model.Leaf
	if n < len(blob) {
		n -= n % model.Leaf
	}
	return l.Append(blob[done:n])
}

// subtract sets dst = a - b, little-endian, bytes of a tensor from an offset on. dst may
// be b, or begin before it: an element is read before its place is written to.
func subtract(spec model.Spec, at int, dst, a, b []byte) error {
	switch spec.DType {
	case model.F32:
		return subtractF32(spec, at, dst, a, b)
	case model.F64:
		return subtractF64(spec, at, dst, a, b)
	case model.I64:
		subtractI64(dst, a, b)
		return nil
	}
	return fmt.Errorf("tensor %s: updates of %v are not supported", spec.Name, spec.DType)
}

// subtractF32 takes eight elements at a time, and the rest, or what is not finite, one by
// one.
func subtractF32(spec model.Spec, at int, dst, a, b []byte) error {
	for i := subtract8s(dst, a, b); i < len(dst); i += 4 {
		trained := f32(a[i:])
		x := trained - f32(b[i:])
		if x-x != 0 {
			return diverged(spec, (at+i)/4, float64(trained))
		}
		binary.LittleEndian.PutUint32(dst[i:], math.Float32bits(x))
	}
	return nil
}

// subtract8s is dst = a - b of eight elements at a time, as long as all of them are
// finite, and returns how many bytes it has done. The arrays of fixed size spare bound
// checks; a difference that is not finite has a carry from its exponent to the sign.
func subtract8s(dst, a, b []byte) int {
	all := len(dst)
	for len(dst) >= 32 && len(a) >= 32 && len(b) >= 32 {
		d, x, y := (*[32]byte)(dst), (*[32]byte)(a), (*[32]byte)(b)
		r0, r1, r2, r3 := less(x[0:], y[0:]), less(x[4:], y[4:]), less(x[8:], y[8:]), less(x[12:], y[12:])
		r4, r5, r6, r7 := less(x[16:], y[16:]), less(x[20:], y[20:]), less(x[24:], y[24:]), less(x[28:], y[28:])
		if (carry(r0)|carry(r1)|carry(r2)|carry(r3)|carry(r4)|carry(r5)|carry(r6)|carry(r7))>>31 != 0 {
			break
		}
		binary.LittleEndian.PutUint64(d[0:], uint64(r1)<<32|uint64(r0))
		binary.LittleEndian.PutUint64(d[8:], uint64(r3)<<32|uint64(r2))
		binary.LittleEndian.PutUint64(d[16:], uint64(r5)<<32|uint64(r4))
		binary.LittleEndian.PutUint64(d[24:], uint64(r7)<<32|uint64(r6))
		dst, a, b = dst[32:], a[32:], b[32:]
	}
	return all - len(dst)
}

// less is a - b, as bits.
func less(a, b []byte) uint32 { return math.Float32bits(f32(a) - f32(b)) }

// carry has its highest bit set where x is an infinity or a NaN.
func carry(x uint32) uint32 { return x&(1<<31-1) + 1<<23 }

func f32(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

func subtractF64(spec model.Spec, at int, dst, a, b []byte) error {
	for i := 0; i < len(dst); i += 8 {
		trained := math.Float64frombits(binary.LittleEndian.Uint64(a[i:]))
		x := trained - math.Float64frombits(binary.LittleEndian.Uint64(b[i:]))
		if x-x != 0 {
			return diverged(spec, (at+i)/8, trained)
		}
		binary.LittleEndian.PutUint64(dst[i:], math.Float64bits(x))
	}
	return nil
}

func subtractI64(dst, a, b []byte) {
	for i := 0; i < len(dst); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], binary.LittleEndian.Uint64(a[i:])-binary.LittleEndian.Uint64(b[i:]))
	}
}

// diverged says which value of the trained model has no difference from the one
// received.
func diverged(spec model.Spec, i int, trained float64) error {
	return fmt.Errorf("tensor %s: value %v is %g after training: %w; a smaller learning rate, or a limit of the gradients' norm, may help; missing values in the data do this too",
		spec.Name, spec.Place(i), trained, errNotFinite)
}

// checkStatistics reports why s is not the answer to a statistics order: the
// tensors m2, mean and n, f64 of one shape [d], and classes of another if it counts them,
// finite, none but the mean negative.
func checkStatistics(s *model.Model) error {
	const want = "statistics: want the tensors m2, mean and n, f64 of one shape [d]"
	if s == nil || s.Check() != nil {
		return errors.New(want)
	}
	features, classes := s.Schema.Shape(model.StatNName), s.Schema.Shape(model.StatClassesName)
	if len(features) != 1 || len(classes) > 1 || !s.Schema.Equal(model.StatisticsSchema(features[0], append(classes, 0)[0])) {
		return errors.New(want)
	}
	for _, spec := range s.Schema {
		v, err := s.Float64s(spec.Name)
		if err != nil {
			return err
		}
		for i, x := range v {
			if x-x != 0 {
				return fmt.Errorf("statistics: %s of place %d is %g: %w", spec.Name, i, x, errNotFinite)
			}
			if x < 0 && spec.Name != model.StatMeanName {
				return fmt.Errorf("statistics: %s of place %d is %g, want 0 or more", spec.Name, i, x)
			}
		}
	}
	return nil
}

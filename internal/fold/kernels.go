package fold

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/fedmq/fedmq/model"
)

const (
	mask32 = 1<<31 - 1 // all but the sign
	mask64 = 1<<63 - 1
	inf32  = 0x7f800000 // bits from here on are an infinity or a NaN
	inf64  = 0x7ff0000000000000
)

// parallelFrom is the number of coordinates from which the work is shared out:
// below it starting workers costs more than it gains.
const parallelFrom = 1 << 16

// Each calls fn over [0, n) cut into one range a worker and reports whether all
// calls did. Coordinates do not depend on each other, so that the cut changes
// no bit.
func Each(n int, fn func(lo, hi int) bool) bool {
	workers := min(runtime.GOMAXPROCS(0), n/(parallelFrom/2))
	if n < parallelFrom || workers < 2 {
		return fn(0, n)
	}
	return share(n, workers, fn)
}

func share(n, workers int, fn func(lo, hi int) bool) bool {
	var failed atomic.Bool
	var wg sync.WaitGroup
	size := (n/workers + 16) &^ 15 // whole cache lines
	for lo := 0; lo < n; lo += size {
		wg.Go(func() {
			if !fn(lo, min(lo+size, n)) {
				failed.Store(true)
			}
		})
	}
	wg.Wait()
	return !failed.Load()
}

// kernel is how the values of one type are added.
type kernel struct {
	size int // bytes of a value
	add  func(acc []int64, x []byte, k float64)
}

// Summed reports whether there are sums of a type: of f32 and f64.
func Summed(d model.DType) bool { return d == model.F32 || d == model.F64 }

// kernelOf panics on a caller's bug.
func kernelOf(d model.DType) kernel {
	if !Summed(d) {
		panic(fmt.Sprintf("fold: no sums of %v", d))
	}
	if d == model.F64 {
		return kernel{8, add64}
	}
	return kernel{4, add32}
}

// limit32 returns the bits of the largest float32 x with x <= 2^B and
// x * c <= 2^B * n. Both grow with x, and so do the bits of x >= 0.
func limit32(g Grid, n uint64, c float64) uint32 {
	most := pow2(g.B)
	total := float64(most * float64(n))
	first := sort.Search(inf32, func(bits int) bool {
		x := float64(math.Float32frombits(uint32(bits))) // below inf32
		return x > most || float64(x*c) > total
	})
	return uint32(first - 1) // x = 0 is always within
}

// limit64 is limit32 for float64.
func limit64(g Grid, n uint64, c float64) uint64 {
	most := pow2(g.B)
	total := float64(most * float64(n))
	lo, hi := uint64(0), uint64(inf64) // lo is within, hi is not
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		if x := math.Float64frombits(mid); x > most || float64(x*c) > total {
			hi = mid
		} else {
			lo = mid
		}
	}
	return lo
}

// within32 reports whether the absolute bits of all values are at most limit,
// two values at a time: in limit|sign - |x| the sign bit of a lane survives
// exactly when |x| <= limit, and no lane borrows from its neighbour.
func within32(x []byte, limit uint32) bool {
	const lanes = mask32<<32 | mask32
	top := uint64(limit|1<<31)<<32 | uint64(limit|1<<31)
	ok := uint64(math.MaxUint64)
	for len(x) >= 32 {
		v := (*[32]byte)(x)
		a := top - binary.LittleEndian.Uint64(v[0:])&lanes
		b := top - binary.LittleEndian.Uint64(v[8:])&lanes
		c := top - binary.LittleEndian.Uint64(v[16:])&lanes
		d := top - binary.LittleEndian.Uint64(v[24:])&lanes
		ok &= a & b & c & d
		x = x[32:]
	}
	for len(x) >= 4 {
		ok &= top - uint64(binary.LittleEndian.Uint32(x)&mask32)
		x = x[4:]
	}
	return ok|lanes == math.MaxUint64
}

// within64 is within32 for float64.
func within64(x []byte, limit uint64) bool {
	top := limit | 1<<63
	ok := uint64(math.MaxUint64)
	for len(x) >= 32 {
		v := (*[32]byte)(x)
		a := top - binary.LittleEndian.Uint64(v[0:])&mask64
		b := top - binary.LittleEndian.Uint64(v[8:])&mask64
		c := top - binary.LittleEndian.Uint64(v[16:])&mask64
		d := top - binary.LittleEndian.Uint64(v[24:])&mask64
		ok &= a & b & c & d
		x = x[32:]
	}
	for len(x) >= 8 {
		ok &= top - binary.LittleEndian.Uint64(x)&mask64
		x = x[8:]
	}
	return ok>>63 == 1
}

// term32 is one term of the sum: int64(x * k), truncated toward zero.
func term32(bits uint32, k float64) int64 {
	return int64(float64(float64(math.Float32frombits(bits)) * k))
}

func term64(bits uint64, k float64) int64 {
	return int64(float64(math.Float64frombits(bits) * k))
}

// add32 adds the terms of x to acc. The arrays of fixed size spare every bound
// check but one.
func add32(acc []int64, x []byte, k float64) {
	for len(acc) >= 8 && len(x) >= 32 {
		a, v := (*[8]int64)(acc), (*[32]byte)(x)
		a[0] += term32(binary.LittleEndian.Uint32(v[0:]), k)
		a[1] += term32(binary.LittleEndian.Uint32(v[4:]), k)
		a[2] += term32(binary.LittleEndian.Uint32(v[8:]), k)
		a[3] += term32(binary.LittleEndian.Uint32(v[12:]), k)
		a[4] += term32(binary.LittleEndian.Uint32(v[16:]), k)
		a[5] += term32(binary.LittleEndian.Uint32(v[20:]), k)
		a[6] += term32(binary.LittleEndian.Uint32(v[24:]), k)
		a[7] += term32(binary.LittleEndian.Uint32(v[28:]), k)
		acc, x = acc[8:], x[32:]
	}
	for i := range acc {
		acc[i] += term32(binary.LittleEndian.Uint32(x[4*i:]), k)
	}
}

func add64(acc []int64, x []byte, k float64) {
	for len(acc) >= 4 && len(x) >= 32 {
		a, v := (*[4]int64)(acc), (*[32]byte)(x)
		a[0] += term64(binary.LittleEndian.Uint64(v[0:]), k)
		a[1] += term64(binary.LittleEndian.Uint64(v[8:]), k)
		a[2] += term64(binary.LittleEndian.Uint64(v[16:]), k)
		a[3] += term64(binary.LittleEndian.Uint64(v[24:]), k)
		acc, x = acc[4:], x[32:]
	}
	for i := range acc {
		acc[i] += term64(binary.LittleEndian.Uint64(x[8*i:]), k)
	}
}

package fold

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"github.com/fedmq/fedmq/model"
)

var sizes = []int{10_000, 1_000_000, 10_000_000}

// BenchmarkCopy is the yardstick: the same bytes moved once.
func BenchmarkCopy(b *testing.B) {
	for _, d := range sizes {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			src, dst := random(1, d), make([]byte, 4*d)
			b.SetBytes(int64(4 * d))
			b.ReportAllocs()
			for b.Loop() {
				copy(dst, src)
			}
		})
	}
}

func BenchmarkAdd32(b *testing.B) {
	for _, d := range sizes {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			x, s := random(1, d), NewSum(Grid{B: 6, W: 29}, model.F32, d)
			b.SetBytes(int64(4 * d))
			b.ReportAllocs()
			for b.Loop() {
				s.weight = 0
				s.Add(x, 100, 100)
			}
		})
	}
}

func BenchmarkCheck32(b *testing.B) {
	for _, d := range sizes {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			x, s := random(1, d), NewSum(Grid{B: 6, W: 20}, model.F32, d)
			b.SetBytes(int64(4 * d))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Check(x, 100, 100); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkTake32 is check, norm and addition of an update in one pass.
func BenchmarkTake32(b *testing.B) {
	for _, d := range sizes {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			x, s := random(1, d), NewSum(Grid{B: 6, W: 29}, model.F32, d)
			b.SetBytes(int64(4 * d))
			b.ReportAllocs()
			for b.Loop() {
				if _, n := s.Take(x, 0, 100, 100, 10, 0); n < d {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkAdd64(b *testing.B) {
	const d = 1_000_000
	var x []byte
	for i := range d {
		x = binary.LittleEndian.AppendUint64(x, math.Float64bits(float64(i)*1e-6))
	}
	s := NewSum(Grid{B: 6, W: 20}, model.F64, d)
	b.SetBytes(8 * d)
	b.ReportAllocs()
	for b.Loop() {
		s.weight = 0
		s.Add(x, 100, 100)
	}
}

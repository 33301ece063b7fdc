package fold

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/model"
)

func TestNewGrid(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		allowance, cap uint64
		w              int
	}{
		{1, 1, 0},
		{2, 1, 1},
		{3, 1, 2},
		{4, 1, 2},
		{10, 5490, 16},
		{4, 1000, 12},
		{2, 50, 7},
		{1, MaxWeight, 29},
		{1 << 24, MaxWeight, 53},
	} {
		if g, err := NewGrid(6, tc.allowance, tc.cap); err != nil || g != (Grid{6, tc.w}) || g.G() != tc.w-56 {
			t.Errorf("%d members of weight %d: %v, %v, want w %d", tc.allowance, tc.cap, g, err, tc.w)
		}
	}
	for _, bad := range []struct {
		b              int
		allowance, cap uint64
	}{{-17, 1, 1}, {25, 1, 1}, {6, 0, 1}, {6, 1, 0}, {6, 1, MaxWeight + 1}, {6, 1<<24 + 1, 1}, {6, math.MaxUint64, 2}} {
		if g, err := NewGrid(bad.b, bad.allowance, bad.cap); !errors.Is(err, ErrGrid) {
			t.Errorf("%v: %v, %v, want ErrGrid", bad, g, err)
		}
	}
}

// A grid that is full refuses the next member, and a tree that would overflow
// it is not merged; an update that is bad as well is told so first.
func TestFull(t *testing.T) {
	t.Parallel()
	x := func(v float32) []byte { return binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)) }
	s := NewSum(Grid{B: 6, W: 4}, model.F32, 1)
	s.Add(x(64), 10, 10)
	other := NewSum(Grid{B: 6, W: 4}, model.F32, 1)
	other.Add(x(-64), 7, 7)
	before := *s
	for v, want := range map[float32]error{1: ErrFull, 0: ErrFull, 65: ErrOutOfRange, float32(math.Inf(-1)): ErrNotFinite} {
		if err := s.Check(x(v), 7, 7); !errors.Is(err, want) {
			t.Errorf("%g of weight 7: %v, want %v", v, err, want)
		}
	}
	if err := s.Check(x(1), 6, 6); err != nil {
		t.Error("the last place:", err)
	}
	if err := s.Merge(other); !errors.Is(err, ErrFull) {
		t.Error("merge over the bound:", err)
	}
	for _, o := range []*Sum{NewSum(Grid{B: 5, W: 4}, model.F32, 1), NewSum(Grid{B: 6, W: 4}, model.F32, 2)} {
		if err := s.Merge(o); !errors.Is(err, ErrGrid) {
			t.Error("merge of another shape:", err)
		}
	}
	if s.Weight() != before.weight || s.Members() != 1 || s.At(0) != 10<<(6+62-6-4) {
		t.Errorf("the sum has changed: %v", s)
	}
	s.Reset(Grid{B: 5, W: 3})
	if s.grid != (Grid{B: 5, W: 3}) || s.Weight() != 0 || s.Members() != 0 || s.At(0) != 0 {
		t.Error("not empty after Reset")
	}
}

func TestPanicsOnCallersBug(t *testing.T) {
	t.Parallel()
	s := NewSum(Grid{B: 6, W: 4}, model.F32, 2)
	for name, fn := range map[string]func(){
		"short x":     func() { s.Add(make([]byte, 4), 1, 1) },
		"short check": func() { _ = s.Check(make([]byte, 4), 1, 1) },
		"weight":      func() { s.Add(make([]byte, 8), 17, 17) },
		"mean":        func() { s.Mean(make([]float64, 2), 1) },
		"integers":    func() { NewSum(Grid{}, model.I64, 1) },
		"grid":        func() { NewSum(Grid{W: 54}, model.F32, 1) },
		"step":        func() { NewScalar(901) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error(name, "did not panic")
				}
			}()
			fn()
		}()
	}
}

func TestCoefficients(t *testing.T) {
	t.Parallel()
	s := NewSum(Grid{B: 6, W: 40}, model.F32, 1)
	zero := make([]byte, 4)
	for _, c := range []float64{math.NaN(), -1, math.Inf(1), math.MaxFloat64} {
		if err := s.Check(zero, 1, c); !errors.Is(err, ErrOutOfRange) {
			t.Errorf("c %g: %v", c, err)
		}
	}
	if err := s.Check(zero, MaxWeight+1, MaxWeight+1); !errors.Is(err, ErrOutOfRange) {
		t.Error("a weight above 2^29:", err)
	}
	if err := s.Check(zero, 1, 1e290); err != nil {
		t.Error("nothing to scale:", err)
	}
}

// random returns d float32 below 2^6 as bytes.
func random(seed uint64, d int) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, 4*d)
	for range d {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(rng.NormFloat64())))
	}
	return b
}

// Every number of workers gives the same bits and finds the same bad value.
func TestWorkers(t *testing.T) {
	t.Parallel()
	const d = 1000
	x := random(1, d)
	want := make([]int64, d)
	add32(want, x, 3)
	for workers := 1; workers <= 9; workers++ {
		got, calls := make([]int64, d), make([]int, d)
		share(d, workers, func(lo, hi int) bool {
			add32(got[lo:hi], x[4*lo:4*hi], 3)
			for i := lo; i < hi; i++ {
				calls[i]++
			}
			return true
		})
		if !slices.Equal(got, want) || slices.Max(calls) != 1 {
			t.Errorf("%d workers: other bits", workers)
		}
		for _, at := range []int{0, 499, d - 1} {
			if share(d, workers, func(lo, hi int) bool { return at < lo || at >= hi }) {
				t.Errorf("%d workers lose a failure at %d", workers, at)
			}
		}
	}
}

// The parallel path as callers reach it, with the last value bad.
func TestLarge(t *testing.T) {
	t.Parallel()
	const d = 3*parallelFrom + 5
	x := random(2, d)
	s := NewSum(Grid{B: 6, W: 20}, model.F32, d)
	if err := s.Check(x, 100, 100); err != nil {
		t.Fatal(err)
	}
	s.Add(x, 100, 100)
	want := make([]int64, d)
	add32(want, x, s.grid.scaled(100))
	if !slices.Equal(s.acc, want) {
		t.Error("other bits in parallel")
	}
	mean := make([]float64, d)
	s.Mean(mean, 0)
	dst := make([]byte, len(x))
	if PutValues(dst, model.F32, mean); !bytes.Equal(dst, x) {
		t.Error("the mean of one is not itself")
	}
	binary.LittleEndian.PutUint32(x[4*(d-1):], 0x7f800001)
	if err := s.Check(x, 1, 1); !errors.Is(err, ErrNotFinite) {
		t.Error("the last value:", err)
	}
}

// What is read and written again keeps its bits, zeros of both signs and
// subnormals too.
func TestValues(t *testing.T) {
	t.Parallel()
	x := []byte{0, 0, 0, 0x80, 1, 0, 0, 0, 0xff, 0xff, 0x7f, 0x7f, 0xcd, 0xcc, 0xcc, 0x3d}
	for _, d := range []model.DType{model.F32, model.F64} {
		v, got := make([]float64, len(x)/d.Size()), make([]byte, len(x))
		Values(v, x, d)
		if PutValues(got, d, v); !bytes.Equal(got, x) {
			t.Errorf("%v: %x, want %x", d, got, x)
		}
	}
}

func TestScalarRefuses(t *testing.T) {
	t.Parallel()
	s := NewScalar(CoefficientStep)
	for x, want := range map[float64]error{
		math.NaN(): ErrNotFinite, math.Inf(-1): ErrNotFinite,
		math.Nextafter(1<<48, math.Inf(1)): ErrOutOfRange, -(1<<48 + 1): ErrOutOfRange,
	} {
		if err := s.Add(x); !errors.Is(err, want) || s.Members() != 0 {
			t.Errorf("%g: %v, want %v", x, err, want)
		}
	}
	for range maxScalars {
		if err := s.Add(-(1 << 48)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Add(0); !errors.Is(err, ErrFull) || s.Float64() != -(1<<62) {
		t.Errorf("%v after %g", err, s.Float64())
	}
	if err := s.Merge(NewScalar(-32)); !errors.Is(err, ErrGrid) {
		t.Error("another step:", err)
	}
	one := NewScalar(CoefficientStep)
	if err := errors.Join(one.Add(1), s.Merge(one)); !errors.Is(err, ErrFull) {
		t.Error("merge over the bound:", err)
	}
}

// A step far below the last bit decides a tie: 1 + 2^-53 + 2^-64.
func TestScalarRoundsOnce(t *testing.T) {
	t.Parallel()
	s := NewScalar(CoefficientStep)
	if err := errors.Join(s.Add(1), s.Add(math.Ldexp(1, -53)), s.Add(math.Ldexp(1, -64))); err != nil {
		t.Fatal(err)
	}
	if got, want := s.Float64(), 1+math.Ldexp(1, -52); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	part := func(n, mean, m2 float64) Moments { return Moments{[]float64{n}, []float64{mean}, []float64{m2}} }
	// 1, 3 and 5, 9: mean 4.5, deviations 12.25 + 2.25 + 0.25 + 20.25. Sites
	// that have seen nothing change nothing.
	got := part(0, 0, 0)
	for _, p := range []Moments{part(0, 0, 0), part(2, 2, 2), part(0, 7, 0), part(2, 7, 8)} {
		got.Merge(p)
	}
	if got.N[0] != 4 || got.Mean[0] != 4.5 || got.M2[0] != 35 {
		t.Errorf("merged %v", got)
	}
	for _, tc := range []struct{ n, mean, m2, sd float64 }{
		{4, 0, 36, 3},
		{0, 0, 0, 1},
		{5, 0, 0, 1},
		{4, 0, 36e-40, 3e-20},      // the bound goes with the mean, and this is 0
		{4, 5e-12, 36e-24, 3e-12},  // amperes
		{4, -1.7e9, 16, 2},         // a clock, two seconds to either side
		{4, 1.7e9, 4e-12, 1},       // the same clock standing still: a deviation of 1e-6 is rounding
		{4, 2e14, 16.001, 2.00006}, // just beyond the bound, and just within
		{4, 2e14, 15.999, 1},
	} {
		sd := make([]float64, 1)
		if part(tc.n, tc.mean, tc.m2).SD(sd); math.Abs(sd[0]-tc.sd) > 1e-5*tc.sd {
			t.Errorf("n %g, mean %g, M2 %g: sd %g, want %g", tc.n, tc.mean, tc.m2, sd[0], tc.sd)
		}
	}
	if second := part(4, 1.7e9, 4); second.Constant(0) {
		t.Error("a clock that runs one second to either side is constant")
	}
	none := part(0, 0, 0)
	if none.Merge(part(0, 7, 0)); none.N[0] != 0 || none.Mean[0] != 0 || none.M2[0] != 0 {
		t.Errorf("of nothing: %v", none)
	}
	for m, want := range map[string]struct {
		m    Moments
		want error
	}{
		"good":     {part(3, -1, 2), nil},
		"nan":      {part(3, math.NaN(), 2), ErrNotFinite},
		"inf":      {part(3, 1, math.Inf(1)), ErrNotFinite},
		"negative": {part(3, 1, -2), ErrOutOfRange},
		"half":     {part(1.5, 1, 2), ErrOutOfRange},
		"ragged":   {Moments{N: []float64{1}}, ErrOutOfRange},
	} {
		if err := want.m.Check(); !errors.Is(err, want.want) || (want.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", m, err, want.want)
		}
	}
}

func ExampleSum() {
	grid, err := NewGrid(6, 2, 100) // two members of at most 100 samples
	if err != nil {
		fmt.Println(err)
		return
	}
	s := NewSum(grid, model.F32, 1)
	for _, site := range []struct {
		delta   float32
		samples uint64
	}{{0.5, 10}, {-0.5, 30}} {
		x := binary.LittleEndian.AppendUint32(nil, math.Float32bits(site.delta))
		if err := s.Check(x, site.samples, float64(site.samples)); err != nil {
			fmt.Println(err)
			return
		}
		s.Add(x, site.samples, float64(site.samples))
	}
	mean := make([]float64, 1)
	s.Mean(mean, 0)
	fmt.Println(mean[0], s.Weight())
	// Output: -0.25 40
}

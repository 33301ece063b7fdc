package fold

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/model"
)

// update is one member's values as float64, weight and coefficient.
type update struct {
	x []float64
	n uint64
	c float64
}

// twinTerm is int64(trunc(round64(x*c) * 2^-g)) in big arithmetic.
func twinTerm(x, c float64, g int) *big.Int {
	p := new(big.Float).SetPrec(200).Mul(big.NewFloat(x), big.NewFloat(c))
	rounded, _ := p.Float64() // once, half to even
	q := new(big.Float).SetPrec(2000).SetMantExp(big.NewFloat(rounded), -g)
	i, _ := q.Int(nil) // truncates toward zero
	return i
}

// twinAccepts is A3 in big arithmetic.
func twinAccepts(x, c float64, n uint64, grid Grid) bool {
	most := new(big.Float).SetMantExp(big.NewFloat(1), grid.B)
	p := new(big.Float).SetPrec(200).Mul(big.NewFloat(math.Abs(x)), big.NewFloat(c))
	rounded, _ := p.Float64()
	total := new(big.Float).SetPrec(200).Mul(most, new(big.Float).SetUint64(n))
	return big.NewFloat(math.Abs(x)).Cmp(most) <= 0 && big.NewFloat(rounded).Cmp(total) <= 0
}

func drawGrid(t *rapid.T) Grid {
	return Grid{B: rapid.IntRange(-16, 24).Draw(t, "b"), W: rapid.IntRange(4, 43).Draw(t, "w")}
}

// drawValue prefers the edges: the bound itself, its neighbours, half steps,
// subnormals and both zeros.
func drawValue(t *rapid.T, g Grid, wide bool) float64 {
	most := math.Ldexp(1, g.B)
	x := rapid.OneOf(
		rapid.Float64Range(-most, most),
		rapid.SampledFrom([]float64{most, -most, 0, math.Copysign(0, -1), math.Nextafter(most, 0), -math.Nextafter(most, 0)}),
		rapid.Custom(func(t *rapid.T) float64 {
			return math.Ldexp(rapid.Float64Range(-4, 4).Draw(t, "steps"), g.G())
		}),
		rapid.SampledFrom([]float64{math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, math.SmallestNonzeroFloat64, 1e-310}),
	).Draw(t, "x")
	if wide {
		return x
	}
	return float64(float32(x))
}

func drawUpdates(t *rapid.T, g Grid, d int, wide bool) []update {
	room := uint64(1) << g.W
	members := rapid.IntRange(1, 6).Draw(t, "members")
	us := make([]update, members)
	for k := range us {
		n := rapid.Uint64Range(1, min(MaxWeight, max(1, room/uint64(members)))).Draw(t, "n")
		scale := rapid.SampledFrom([]float64{1, 1, 1. / 3, 0.999999, 0, 1e-300}).Draw(t, "s")
		us[k] = update{n: n, c: float64(n) * scale}
		for range d {
			us[k].x = append(us[k].x, drawValue(t, g, wide))
		}
	}
	return us
}

func dtypeOf(wide bool) model.DType {
	if wide {
		return model.F64
	}
	return model.F32
}

func encode(x []float64, wide bool) []byte {
	var b []byte
	for _, v := range x {
		if wide {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		} else {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
		}
	}
	return b
}

func (s *Sum) checkAdd(t *rapid.T, u update, wide bool) {
	b := encode(u.x, wide)
	if err := s.Check(b, u.n, u.c); err != nil {
		t.Fatalf("%v refused: %v", u, err)
	}
	s.Add(b, u.n, u.c)
}

// Any arrival order, any tree and the twin give the same integers; the mean and
// the model are the twin's, and the mean is within the bound of F-11.
func TestSumTwin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g, wide := drawGrid(t), rapid.Bool().Draw(t, "f64")
		d := rapid.IntRange(0, 19).Draw(t, "d")
		us := drawUpdates(t, g, d, wide)
		s, left, right := NewSum(g, dtypeOf(wide), d), NewSum(g, dtypeOf(wide), d), NewSum(g, dtypeOf(wide), d)
		for _, u := range us {
			s.checkAdd(t, u, wide)
		}
		for _, k := range rapid.Permutation(indices(len(us))).Draw(t, "order") {
			part := left
			if rapid.Bool().Draw(t, "area") {
				part = right
			}
			part.checkAdd(t, us[k], wide)
		}
		if err := left.Merge(right); err != nil {
			t.Fatal(err)
		}
		if left.Weight() != s.Weight() || left.Members() != len(us) {
			t.Fatalf("tree: weight %d of %d members", left.Weight(), left.Members())
		}
		mean := make([]float64, d)
		s.Mean(mean, 0)
		for i := range d {
			want := new(big.Int)
			exact := new(big.Float).SetPrec(400)
			for _, u := range us {
				want.Add(want, twinTerm(u.x[i], u.c, g.G()))
				exact.Add(exact, new(big.Float).SetPrec(400).Mul(big.NewFloat(u.x[i]), big.NewFloat(u.c)))
			}
			if !want.IsInt64() || want.Int64() != s.At(i) || left.At(i) != s.At(i) {
				t.Fatalf("coordinate %d: %d, over a tree %d, want %v", i, s.At(i), left.At(i), want)
			}
			checkMean(t, mean[i], s, i, exact, len(us))
		}
	})
}

func checkMean(t *rapid.T, got float64, s *Sum, i int, exact *big.Float, members int) {
	f, _ := new(big.Float).SetInt64(s.At(i)).Float64()
	if want := math.Ldexp(f, s.grid.G()) / float64(s.Weight()); got != want {
		t.Fatalf("mean %g, want %g", got, want)
	}
	exact.Quo(exact, new(big.Float).SetUint64(s.Weight()))
	off, _ := new(big.Float).SetPrec(400).Sub(exact, big.NewFloat(got)).Float64()
	// The bound, and for float64 values the rounding of each product.
	bound := float64(members)*math.Ldexp(1, s.grid.G())/float64(s.Weight()) + 4*math.Ldexp(1, s.grid.B-52)
	if math.Abs(off) > bound {
		t.Fatalf("the mean is off by %g, more than %g", off, bound)
	}
}

func indices(n int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = i
	}
	return v
}

// The bit tricks of the check agree with A3 in big arithmetic, for any bits.
func TestCheckTwin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g, wide := drawGrid(t), rapid.Bool().Draw(t, "f64")
		d := rapid.IntRange(1, 11).Draw(t, "d")
		n := rapid.Uint64Range(1, min(MaxWeight, uint64(1)<<g.W)).Draw(t, "n")
		c := float64(n) * rapid.OneOf(rapid.Just(1.0), rapid.Float64Range(0, 2)).Draw(t, "s")
		want := error(nil)
		u := update{n: n, c: c}
		for range d {
			x := drawValue(t, g, wide)
			switch rapid.IntRange(0, 20).Draw(t, "odd") {
			case 0:
				x = math.Float64frombits(rapid.Uint64().Draw(t, "bits"))
			case 1:
				x = math.Inf(1)
			case 2:
				x = math.Ldexp(1, g.B) * 1.0000002
			case 3:
				x = math.Nextafter(math.Ldexp(1, g.B), math.Inf(1))
			}
			if !wide {
				x = float64(float32(x))
			}
			u.x = append(u.x, x)
			switch {
			case math.IsNaN(x) || math.IsInf(x, 0):
				want = ErrNotFinite
			case want == nil && !twinAccepts(x, c, n, g):
				want = ErrOutOfRange
			}
		}
		if got := g.CheckValues(encode(u.x, wide), dtypeOf(wide), n, c); !errors.Is(got, want) {
			t.Fatalf("%v, want %v for %v", got, want, u)
		}
	})
}

func TestScalarTwin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		step := rapid.SampledFrom([]int{CoefficientStep, -32, 0, 40}).Draw(t, "step")
		most := math.Ldexp(1, step+112)
		s, part := NewScalar(step), NewScalar(step)
		want := new(big.Int)
		for range rapid.IntRange(0, 12).Draw(t, "members") {
			x := rapid.OneOf(
				rapid.Float64Range(-most, most),
				rapid.Float64Range(-1000, 1000),
				rapid.SampledFrom([]float64{most, -most, 0, 1e-300, -math.Ldexp(1.5, step), math.Ldexp(1, step-1)}),
			).Draw(t, "x")
			to := s
			if rapid.Bool().Draw(t, "area") {
				to = part
			}
			if err := to.Add(x); err != nil {
				t.Fatal(x, err)
			}
			want.Add(want, twinTerm(x, 1, step))
		}
		if err := s.Merge(part); err != nil {
			t.Fatal(err)
		}
		f, _ := new(big.Float).SetInt(want).Float64()
		if got := s.Float64(); got != math.Ldexp(f, step) {
			t.Fatalf("%g, want %v * 2^%d", got, want, step)
		}
	})
}

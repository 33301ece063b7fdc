package fold

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// One pass has the bits of a check, a norm and an addition one after the other; what is
// refused, or beyond the most that is taken, leaves none, wherever the value to blame stands, and what is taken out again
// neither.
func TestTakeTwin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g, wide := drawGrid(t), rapid.Bool().Draw(t, "f64")
		d := rapid.IntRange(0, 43).Draw(t, "d")
		us := drawUpdates(t, g, min(d, 19), wide)
		for i := range us {
			for len(us[i].x) < d {
				us[i].x = append(us[i].x, us[i].x[len(us[i].x)-19])
			}
		}
		s, one := NewSum(g, dtypeOf(wide), d), NewSum(g, dtypeOf(wide), d)
		for _, u := range us {
			x, squares := encode(u.x, wide), rapid.SampledFrom([]float64{0, 2.5}).Draw(t, "squares")
			want, largest := squares, 0.0
			for _, v := range u.x {
				want += float64(v * v)
				largest = max(largest, math.Abs(v))
			}
			most := rapid.SampledFrom([]float64{largest, largest + 1e-9, math.Inf(1)}).Draw(t, "most")
			s.checkAdd(t, u, wide)
			take := func(x []byte) (got float64, all bool) {
				got, n := one.Take(x, 0, u.n, u.c, most, squares)
				if n < d {
					one.Back(x[:one.kernel.size*n], 0, u.c)
					return got, false
				}
				one.Count(u.n)
				return got, true
			}
			for range 2 {
				if got, ok := take(x); !ok || got != want {
					t.Fatalf("taken: %v, squares %g, want %g", ok, got, want)
				}
				same(t, one, s)
				one.Back(x, 0, u.c)
				one.Discount(u.n)
				if d > 0 {
					odd := slices.Clone(u.x)
					odd[rapid.IntRange(0, d-1).Draw(t, "at")] = rapid.SampledFrom([]float64{math.NaN(), math.Inf(-1), math.Ldexp(1.5, g.B)}).Draw(t, "odd")
					if _, ok := take(encode(odd, wide)); ok {
						t.Fatal("an odd value is taken")
					}
				}
				all := most
				if most = math.Nextafter(largest, 0); largest > 0 {
					if _, ok := take(x); ok {
						t.Fatalf("a value of %g is taken, at most %g", largest, most)
					}
				}
				most = all
			}
			half := rapid.IntRange(0, d).Draw(t, "half")
			got, _ := one.Take(x[:one.kernel.size*half], 0, u.n, u.c, most, squares)
			if got, _ = one.Take(x[one.kernel.size*half:], half, u.n, u.c, most, got); got != want {
				t.Fatalf("in two halves: squares %g, want %g", got, want)
			}
			one.Count(u.n)
			same(t, one, s)
		}
	})
}

func same(t *rapid.T, got, want *Sum) {
	t.Helper()
	if !slices.Equal(got.acc, want.acc) || got.weight != want.weight || got.members != want.members {
		t.Fatalf("the sum is\n%v, weight %d of %d, want\n%v, weight %d of %d", got.acc, got.weight, got.members, want.acc, want.weight, want.members)
	}
}

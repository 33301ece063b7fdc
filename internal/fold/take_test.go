package fold

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// One pass has the bits of a check, a norm and an addition one after the other; what is
// refused leaves none, wherever the value to blame stands, and what is taken out again
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
			want := squares
			for _, v := range u.x {
				want += float64(v * v)
			}
			s.checkAdd(t, u, wide)
			for range 2 {
				if got, ok := one.Take(x, u.n, u.c, squares); !ok || got != want {
					t.Fatalf("taken: %v, squares %g, want %g", ok, got, want)
				}
				same(t, one, s)
				one.Back(x, u.n, u.c)
				s.weight, s.members = s.weight-u.n, s.members-1
				if s.weight != one.weight || s.members != one.members {
					t.Fatalf("out again: weight %d of %d members, want %d of %d", one.weight, one.members, s.weight, s.members)
				}
				s.weight, s.members = s.weight+u.n, s.members+1
				if d > 0 {
					odd := slices.Clone(u.x)
					odd[rapid.IntRange(0, d-1).Draw(t, "at")] = rapid.SampledFrom([]float64{math.NaN(), math.Inf(-1), math.Ldexp(1.5, g.B)}).Draw(t, "odd")
					if _, ok := one.Take(encode(odd, wide), u.n, u.c, 0); ok {
						t.Fatal("an odd value is taken")
					}
				}
			}
			if _, ok := one.Take(x, u.n, u.c, squares); !ok {
				t.Fatal("not taken once more")
			}
			same(t, one, s)
		}
		if _, ok := one.Take(make([]byte, one.kernel.size*d), uint64(1)<<g.W-one.weight+1, 1, 0); ok {
			t.Fatal("a full grid takes more")
		}
		same(t, one, s)
	})
}

func same(t *rapid.T, got, want *Sum) {
	t.Helper()
	if !slices.Equal(got.acc, want.acc) || got.weight != want.weight || got.members != want.members {
		t.Fatalf("the sum is\n%v, weight %d of %d, want\n%v, weight %d of %d", got.acc, got.weight, got.members, want.acc, want.weight, want.members)
	}
}

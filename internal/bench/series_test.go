package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// TestSeries plays sites and aggregator with rationals: no step of a bench
// round may round, whatever the number of sites.
func TestSeries(t *testing.T) {
	t.Parallel()
	for _, sites := range []int{1, 2, 3, 4, 10, 16, 20, 33, 200, 1000} {
		t.Run(fmt.Sprint(sites), func(t *testing.T) {
			t.Parallel()
			const params, rounds = 64, 3
			s := newSeries(7, sites)
			global := make([]byte, 4*params)
			sum := 0
			for site := range sites {
				sum += s.samples(site)
			}
			if sum != s.weight || sum&(sum-1) != 0 {
				t.Fatalf("the weights add up to %d, want %d, a power of two", sum, s.weight)
			}
			for r := uint64(1); r <= rounds; r++ {
				next := make([]*big.Rat, params)
				for i := range next {
					next[i] = rat(global, i)
				}
				for site := range sites {
					local := append([]byte{}, global...)
					s.train(local, global, site, r)
					for i := range next {
						next[i].Add(next[i], exactDelta(t, local, global, i, big.NewRat(int64(s.samples(site)), int64(sum))))
					}
				}
				for i, want := range next {
					x, exact := want.Float32()
					if !exact {
						t.Fatalf("round %d: float32 does not hold %v", r, want)
					}
					binary.LittleEndian.PutUint32(global[4*i:], math.Float32bits(x))
				}
				if got, err := s.errorOf(global, r); got != 0 || err != nil {
					t.Fatalf("round %d: error %v, %v; want 0", r, got, err)
				}
			}
			still := newSeries(7, sites).frozen(params, 0.1)
			if still.from != 56 {
				t.Fatalf("of 64 parameters those below %d do not change", still.from)
			}
			local := append([]byte{}, global...)
			still.train(local, global, 0, 2)
			if !bytes.Equal(local[:4*56], global[:4*56]) || bytes.Equal(local[4*56:], global[4*56:]) {
				t.Error("others changed")
			}
			global[4*17] ^= 1
			if got, err := s.errorOf(global, rounds); got == 0 || got > 1e-6 || err != nil {
				t.Errorf("one bit off: error %v, %v; want a little", got, err)
			}
		})
	}
}

// exactDelta is the delta a site sends, times weight: a multiple of 2^-20 below
// 1 that float32 subtraction does not round.
func exactDelta(t *testing.T, local, global []byte, i int, weight *big.Rat) *big.Rat {
	t.Helper()
	d := new(big.Rat).Sub(rat(local, i), rat(global, i))
	x := float32Of(local, i) - float32Of(global, i)
	if new(big.Rat).SetFloat64(float64(x)).Cmp(d) != 0 {
		t.Fatalf("parameter %d: the delta %v is rounded to %v", i, d, x)
	}
	if math.Abs(float64(x)) >= 1 || math.Mod(float64(x), step) != 0 {
		t.Fatalf("parameter %d: the delta is %v", i, x)
	}
	return d.Mul(d, weight)
}

func float32Of(b []byte, i int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
}

func rat(b []byte, i int) *big.Rat { return new(big.Rat).SetFloat64(float64(float32Of(b, i))) }

// TestSeriesBlocks: a total depends on its place alone, and differs from
// round to round and site to site.
func TestSeriesBlocks(t *testing.T) {
	t.Parallel()
	s := newSeries(1, 10)
	whole := make([]int32, 2*period+1001)
	s.totals(whole, 3, 5, 0)
	for _, first := range []int{0, 2, 400, 1000, period - 4, period, 2*period + 6} {
		part := make([]int32, min(7, len(whole)-first))
		s.totals(part, 3, 5, first)
		for i, got := range part {
			if got != whole[first+i] {
				t.Errorf("from %d: total %d is %d, want %d", first, i, got, whole[first+i])
			}
		}
	}
	other := make([]int32, len(whole))
	for _, at := range []struct {
		site  int
		round uint64
	}{{4, 5}, {3, 6}} {
		s.totals(other, at.site, at.round, 0)
		same := 0
		for i := range other {
			if other[i] == whole[i] {
				same++
			}
		}
		if same > 5 {
			t.Errorf("site %d, round %d: %d of %d totals are those of site 3, round 5", at.site, at.round, same, len(whole))
		}
	}
}

// TestBenchNoticesTheFold: an update that is lost, or counted with another
// weight, is an error far above a rounding.
func TestBenchNoticesTheFold(t *testing.T) {
	t.Parallel()
	s := newSeries(1, 3)
	for name, weights := range map[string][]uint64{"right": {2, 1, 1}, "lost": {2, 1, 0}, "equal": {1, 1, 1}} {
		base, err := zeros(100)
		if err != nil {
			t.Fatal(err)
		}
		st, err := newFold(base, s.weight, nil)
		if err != nil {
			t.Fatal(err)
		}
		for site, w := range weights {
			if w == 0 {
				continue
			}
			delta := &model.Model{Schema: base.Schema, Blob: append([]byte{}, base.Blob...)}
			s.train(delta.Blob, base.Blob, site, 1)
			st.Add(strategy.Update{Samples: w, Weight: w, Tensors: delta})
		}
		next, err := st.Result(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.errorOf(next.Model.Blob, 1)
		if err != nil {
			t.Fatal(err)
		}
		if exact := got == 0; exact != (name == "right") || !exact && got < 1e-3 {
			t.Errorf("%s: error %v", name, got)
		}
	}
}

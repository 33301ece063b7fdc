package fold_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/fedmq/fedmq/internal/fold"
)

type histogramCase struct {
	Lo, Hi float64
	Bins   int
	Sites  []struct {
		Values   []float64
		Expected struct {
			Counts      []float64
			Under, Over float64
		}
	}
	Total     []float64 `json:"expected_total"`
	Quantiles []struct{ P, Value float64 }
	Tolerance struct{ Abs float64 }
}

// Values of two sites are counted bin by bin, and quantiles are made of the sums.
func TestHistogramVectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../testdata/vectors/strategies.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		Statistics struct{ Histogram histogramCase }
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	c := v.Statistics.Histogram
	total := make([]float64, c.Bins+2)
	for i, s := range c.Sites {
		counts := make([]float64, c.Bins+2)
		for _, x := range s.Values {
			counts[fold.Bin(x, c.Lo, c.Hi, c.Bins)]++
			total[fold.Bin(x, c.Lo, c.Hi, c.Bins)]++
		}
		if want := slices.Concat([]float64{s.Expected.Under}, s.Expected.Counts, []float64{s.Expected.Over}); !slices.Equal(counts, want) {
			t.Errorf("site %d: %v, want %v", i, counts, want)
		}
	}
	if len(c.Sites) == 0 || len(c.Quantiles) == 0 || !slices.Equal(total[1:1+c.Bins], c.Total) {
		t.Errorf("total %v, want %v", total, c.Total)
	}
	for _, q := range c.Quantiles {
		if got := fold.Quantile(q.P, total, c.Lo, c.Hi); math.Abs(got-q.Value) > c.Tolerance.Abs {
			t.Errorf("quantile %v is %v, want %v", q.P, got, q.Value)
		}
	}
}

// PSI by hand: shares .5, .5 against .25, .75, and an empty bin that counts as 1e-4.
func TestPSI(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		counts, reference []float64
		want              float64
	}{
		{[]float64{5, 5}, []float64{10, 30}, .25*math.Log(2) - .25*math.Log(.5/.75)},
		{[]float64{10, 0}, []float64{0, 4}, 2 * (1 - 1e-4) * math.Log(1e4)},
		{[]float64{1, 2, 3}, []float64{10, 20, 30}, 0},
		{[]float64{0, 0}, []float64{1, 2}, 0},
		{[]float64{1, 2}, []float64{0, 0}, 0},
	} {
		if got := fold.PSI(c.counts, c.reference); math.Abs(got-c.want) > 1e-14*max(1, c.want) {
			t.Errorf("%v against %v: %v, want %v", c.counts, c.reference, got, c.want)
		}
	}
	if got := math.Float64bits(fold.PSI([]float64{3, 8, 1, 0, 2}, []float64{1, 5, 2, 2, 7})); got != psiBits {
		t.Errorf("%016x, want %016x on every machine", got, uint64(psiBits))
	}
}

const psiBits = 0x3ff86233e7823d00

// Beside a twin that looks for the bin by its edges and for the quantile by sorting.
func TestHistogramTwin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.Float64Range(-1e6, 1e6).Draw(t, "lo")
		hi := lo + rapid.Float64Range(1e-3, 1e6).Draw(t, "span")
		bins := rapid.IntRange(2, 40).Draw(t, "bins")
		width := (hi - lo) / float64(bins)
		values := rapid.SliceOfN(rapid.Float64Range(lo-width, hi+width), 1, 60).Draw(t, "values")
		counts := make([]float64, bins+2)
		for _, x := range values {
			i := fold.Bin(x, lo, hi, bins)
			counts[i]++
			below, above := i == 0 && x < lo, i == bins+1 && x > hi
			edge := lo + float64(i-1)*width
			if !below && !above && !(x >= edge-1e-9*(1+math.Abs(x)) && x <= edge+width+1e-9*(1+math.Abs(x))) {
				t.Fatalf("%v of %v..%v in bin %d of %d", x, lo, hi, i, bins)
			}
		}
		slices.Sort(values)
		p := rapid.Float64Range(1e-3, 1).Draw(t, "p")
		exact := values[max(int(math.Ceil(p*float64(len(values))))-1, 0)]
		exact = min(max(exact, lo), hi)
		if got := fold.Quantile(p, counts, lo, hi); math.Abs(got-exact) > width*(1+1e-6) {
			t.Fatalf("quantile %v is %v, of the sorted values %v: more than a bin of %v", p, got, exact, width)
		}
	})
}

package fold_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// vectors is what this package needs of testdata/vectors/strategies.json.
type vectors struct {
	Fold       []foldCase   `json:"fold"`
	Reject     []rejectCase `json:"fold_reject"`
	Accept     []rejectCase `json:"fold_accept"`
	Statistics struct {
		Merge momentsCase `json:"mean_m2_merge"`
	} `json:"statistics"`
}

type foldCase struct {
	ID      string   `json:"id"`
	B       int      `json:"b"`
	W       int      `json:"w"`
	G       int      `json:"g"`
	Base    []string `json:"base_f32"`
	Members []struct {
		N     uint64   `json:"n"`
		X     []string `json:"x_f32"`
		Terms []string `json:"terms"`
		C     *float64 `json:"c"`
		CBits string   `json:"c_f64"`
	} `json:"members"`
	Expected struct {
		Sums      []string `json:"sums"`
		W         uint64   `json:"W"`
		MeanF64   []string `json:"mean_f64"`
		MeanF32   []string `json:"mean_f32"`
		ModelBits []string `json:"model_f32"`
	} `json:"expected"`
	Orders [][]int `json:"orders"`
	Tree   []struct {
		Members []int    `json:"members"`
		Sums    []string `json:"sums"`
		W       uint64   `json:"W"`
	} `json:"tree"`
}

type rejectCase struct {
	ID     string   `json:"id"`
	B      int      `json:"b"`
	W      int      `json:"w"`
	N      uint64   `json:"n"`
	C      *float64 `json:"c"`
	X      []string `json:"x_f32"`
	Reason string   `json:"reason"`
}

type momentsCase struct {
	Parts []struct {
		N, Mean, M2 float64
	} `json:"parts"`
	Expected struct {
		N    float64 `json:"n"`
		Mean float64 `json:"mean"`
		M2   float64 `json:"m2"`
		SD   float64 `json:"sd_population"`
	} `json:"expected"`
	Tolerance struct{ Rel float64 } `json:"tolerance"`
}

func load(t testing.TB) vectors {
	t.Helper()
	b, err := os.ReadFile("../../testdata/vectors/strategies.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Fold) < 19 || len(v.Reject) < 14 || len(v.Accept) < 4 {
		t.Fatalf("%d, %d, %d cases", len(v.Fold), len(v.Reject), len(v.Accept))
	}
	return v
}

func bits(t testing.TB, hex string) uint64 {
	t.Helper()
	v, err := strconv.ParseUint(hex, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// f32 returns the little-endian bytes of bit patterns in hex.
func f32(t testing.TB, hex []string) []byte {
	t.Helper()
	b := make([]byte, 0, 4*len(hex))
	for _, h := range hex {
		b = binary.LittleEndian.AppendUint32(b, uint32(bits(t, h)))
	}
	return b
}

func coefficient(c *float64, n uint64) float64 {
	if c != nil {
		return *c
	}
	return float64(n)
}

func wantSums(t *testing.T, what string, s *fold.Sum, want []string, weight uint64) {
	t.Helper()
	for i, w := range want {
		if got := strconv.FormatInt(s.At(i), 10); got != w {
			t.Errorf("%s: sum %d is %s, want %s", what, i, got, w)
		}
	}
	if s.Weight() != weight || s.Len() != len(want) {
		t.Errorf("%s: weight %d over %d, want %d over %d", what, s.Weight(), s.Len(), weight, len(want))
	}
}

func TestFoldVectors(t *testing.T) {
	t.Parallel()
	for _, tc := range load(t).Fold {
		t.Run(tc.ID, func(t *testing.T) {
			t.Parallel()
			grid := fold.Grid{B: tc.B, W: tc.W}
			if grid.G() != tc.G {
				t.Errorf("g %d, want %d", grid.G(), tc.G)
			}
			sumOf := func(members []int) *fold.Sum {
				s := fold.NewSum(grid, model.F32, len(tc.Base))
				for _, k := range members {
					m := tc.Members[k]
					x, c := f32(t, m.X), coefficient(m.C, m.N)
					if m.C != nil && math.Float64bits(c) != bits(t, m.CBits) {
						t.Fatalf("member %d: c reads %g", k, c)
					}
					if err := s.Check(x, m.N, c); err != nil {
						t.Fatalf("member %d: %v", k, err)
					}
					s.Add(x, m.N, c)
				}
				return s
			}
			inOrder := make([]int, len(tc.Members))
			for k, m := range tc.Members {
				inOrder[k] = k
				if m.Terms != nil {
					wantSums(t, "term of "+strconv.Itoa(k), sumOf([]int{k}), m.Terms, m.N)
				}
			}
			s := sumOf(inOrder)
			wantSums(t, "sum", s, tc.Expected.Sums, tc.Expected.W)
			for _, order := range tc.Orders {
				wantSums(t, "another order", sumOf(order), tc.Expected.Sums, tc.Expected.W)
			}
			wantModel(t, s, tc)
			wantTree(t, tc, sumOf)
		})
	}
}

func wantModel(t *testing.T, s *fold.Sum, tc foldCase) {
	t.Helper()
	mean := make([]float64, s.Len())
	s.Mean(mean, 0)
	base := f32(t, tc.Base)
	next := make([]float64, s.Len())
	fold.Values(next, base, model.F32)
	for i := range mean { // F-10
		if mean[i] != 0 {
			next[i] += mean[i]
		}
	}
	fold.PutValues(base, model.F32, next)
	for i := range mean {
		if got, want := math.Float64bits(mean[i]), bits(t, tc.Expected.MeanF64[i]); got != want {
			t.Errorf("mean %d is %016x, want %016x", i, got, want)
		}
		if got, want := uint64(math.Float32bits(float32(mean[i]))), bits(t, tc.Expected.MeanF32[i]); got != want {
			t.Errorf("mean %d as float32 is %08x, want %08x", i, got, want)
		}
		if got, want := uint64(binary.LittleEndian.Uint32(base[4*i:])), bits(t, tc.Expected.ModelBits[i]); got != want {
			t.Errorf("model %d is %08x, want %08x", i, got, want)
		}
	}
}

func wantTree(t *testing.T, tc foldCase, sumOf func([]int) *fold.Sum) {
	t.Helper()
	if tc.Tree == nil {
		return
	}
	root := fold.NewSum(fold.Grid{B: tc.B, W: tc.W}, model.F32, len(tc.Base))
	for _, area := range tc.Tree {
		part := sumOf(area.Members)
		wantSums(t, "area", part, area.Sums, area.W)
		if err := root.Merge(part); err != nil {
			t.Fatal(err)
		}
	}
	wantSums(t, "tree", root, tc.Expected.Sums, tc.Expected.W)
	if root.Members() != len(tc.Members) {
		t.Errorf("tree of %d members, want %d", root.Members(), len(tc.Members))
	}
}

func TestFoldReject(t *testing.T) {
	t.Parallel()
	reasons := map[string]error{"not_finite": fold.ErrNotFinite, "out_of_range": fold.ErrOutOfRange}
	v := load(t)
	for _, tc := range append(v.Reject, v.Accept...) {
		t.Run(tc.ID, func(t *testing.T) {
			t.Parallel()
			s := fold.NewSum(fold.Grid{B: tc.B, W: tc.W}, model.F32, len(tc.X))
			one := make([]byte, 4*len(tc.X))
			for i := range tc.X {
				binary.LittleEndian.PutUint32(one[4*i:], math.Float32bits(0.125))
			}
			s.Add(one, 1, 1)
			before := s.At(0)
			x, c := f32(t, tc.X), coefficient(tc.C, tc.N)
			if err := s.Check(x, tc.N, c); !errors.Is(err, reasons[tc.Reason]) {
				t.Errorf("%v, want %q", err, tc.Reason)
			}
			for i := range tc.X {
				if s.At(i) != before || s.Weight() != 1 {
					t.Error("the sum has changed")
				}
			}
		})
	}
}

func TestMergeMomentsVector(t *testing.T) {
	t.Parallel()
	tc := load(t).Statistics.Merge
	got := fold.Moments{N: make([]float64, 1), Mean: make([]float64, 1), M2: make([]float64, 1)}
	for _, p := range tc.Parts {
		m := fold.Moments{N: []float64{p.N}, Mean: []float64{p.Mean}, M2: []float64{p.M2}}
		if err := m.Check(); err != nil {
			t.Fatal(err)
		}
		got.Merge(m)
	}
	sd := make([]float64, 1)
	got.SD(sd)
	for name, pair := range map[string][2]float64{
		"n": {got.N[0], tc.Expected.N}, "mean": {got.Mean[0], tc.Expected.Mean},
		"m2": {got.M2[0], tc.Expected.M2}, "sd": {sd[0], tc.Expected.SD},
	} {
		if !(math.Abs(pair[0]-pair[1]) <= tc.Tolerance.Rel*math.Abs(pair[1])) {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}
}

package strategy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// updatesOf is rows as updates of a schema, all of the weight that ns says.
func updatesOf(t testing.TB, schema model.Schema, rows [][]float64, ns []uint64) *Updates {
	t.Helper()
	all := &Updates{Schema: schema}
	blobs := make([][]byte, len(rows))
	for i, x := range rows {
		n := uint64(1)
		if ns != nil {
			n = ns[i]
		}
		all.List = append(all.List, Update{Samples: n, Weight: n})
		for _, spec := range schema {
			b := make([]byte, spec.Bytes())
			fold.PutValues(b, spec.DType, x[:spec.Elements()])
			blobs[i], x = append(blobs[i], b...), x[spec.Elements():]
		}
	}
	all.ReadAt = func(p []byte, i, off int) error { copy(p, blobs[i][off:]); return nil }
	return all
}

// made is the mean update that a strategy makes of rows, on a base of zeros, and what it
// carries to the next round.
func made(t testing.TB, s selective, rows [][]float64, ns []uint64, carried []byte) (delta []float64, carry []byte) {
	t.Helper()
	schema, err := model.NewSchema(model.Spec{Name: "w", DType: model.F64, Shape: []int{len(rows[0])}})
	if err != nil {
		t.Fatal(err)
	}
	return madeOf(t, s, updatesOf(t, schema, rows, ns), carried)
}

func madeOf(t testing.TB, s selective, all *Updates, before []byte) (delta []float64, carry []byte) {
	t.Helper()
	s.id = "kernel"
	state := append(head(nil, "", 0), head(nil, s.id, len(before))...)
	a, err := (Registry{Strategies: []Strategy{s}}).Begin(Setup{
		Work: Train, Strategy: s.id, State: append(state, before...), Round: Round{Base: model.New(all.Schema), GridB: 24, GridW: 30},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Result(all, nil)
	if err != nil {
		t.Fatal(err)
	}
	if carry, err = carried(r.State, s.id); err != nil {
		t.Fatal(err)
	}
	rest := r.Model.Blob
	for _, spec := range all.Schema {
		v := make([]float64, spec.Elements())
		fold.Values(v, rest, spec.DType)
		delta, rest = append(delta, v...), rest[spec.Bytes():]
	}
	return delta, carry
}

func near(got, want []float64, rel, abs float64) bool {
	if len(got) != len(want) {
		return false
	}
	for j := range want {
		if !(math.Abs(got[j]-want[j]) <= abs+rel*math.Abs(want[j])) {
			return false
		}
	}
	return true
}

func readVectors(t testing.TB, name string, into any) {
	t.Helper()
	b, err := os.ReadFile("../testdata/vectors/" + name)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// robust is a case of robust.json. Of its outputs those are here that fedmq offers, and
// those of other definitions that it must not give.
type robust struct {
	Name  string
	N, F  int
	Input [][]float64
	Gap   float64 `json:"multikrum_boundary_gap"`
	Out   struct {
		Average     []float64
		Median      []float64
		Trimmed     []float64   `json:"trimmed_mean"`
		Geometric   []float64   `json:"geometric_median_nu0.1_T3"`
		Converged   []float64   `json:"geometric_median_converged"`
		Scores      []float64   `json:"krum_blanchard_scores"`
		Best        int         `json:"krum_blanchard_index"`
		M           int         `json:"multikrum_blanchard_m"`
		Chosen      []int       `json:"multikrum_blanchard_indices"`
		MultiKrum   []float64   `json:"multikrum_blanchard"`
		Clip05      []float64   `json:"centered_clipping_m0_L1_tau0.5"`
		Clip1       []float64   `json:"centered_clipping_m0_L1_tau1.0"`
		Clip10      []float64   `json:"centered_clipping_m0_L1_tau10.0"`
		Clip3       []float64   `json:"centered_clipping_m0_L3_tau1.0"`
		NNM         [][]float64 `json:"nnm"`
		NNMTrimmed  []float64   `json:"nnm_then_trimmed_mean"`
		NNMMedian   []float64   `json:"nnm_then_median"`
		OtherKrum   []float64   `json:"krum_byzfl"`
		OtherIndex  int         `json:"krum_byzfl_index"`
		OtherMedian []float64   `json:"meamed"`
	}
}

func TestRobustVectors(t *testing.T) {
	t.Parallel()
	var file struct{ Cases []robust }
	readVectors(t, "robust.json", &file)
	if len(file.Cases) != 14 {
		t.Errorf("%d cases, want 14", len(file.Cases))
	}
	others := 0
	for _, c := range file.Cases {
		rel, abs := 1e-9, 1e-12
		if strings.HasPrefix(c.Name, "large_offset") {
			abs = 1e-6
		}
		check := func(what string, got, want []float64, abs float64) {
			t.Helper()
			if want == nil || !near(got, want, rel, abs) {
				t.Errorf("%s: %s is %v, want %v", c.Name, what, got, want)
			}
		}
		of := func(mix int, k kernel) []float64 {
			delta, _ := made(t, selective{kernel: k, mix: mix}, c.Input, nil, nil)
			return delta
		}
		o := c.Out
		check("the median", of(0, median{}), o.Median, abs)
		check("the trimmed mean", of(0, trimmedMean{count: c.F}), o.Trimmed, abs)
		check("the geometric median", of(0, geometricMedian{nu: .1, iterations: 3, zero: true}), o.Geometric, abs)
		check("the geometric median, converged", of(0, geometricMedian{nu: 1e-12, iterations: 3000}), o.Converged, 1e-7)
		check("clipping to .5", of(0, centeredClip{tau: .5, iterations: 1}), o.Clip05, abs)
		check("clipping to 1", of(0, centeredClip{tau: 1, iterations: 1}), o.Clip1, abs)
		check("clipping to 10", of(0, centeredClip{tau: 10, iterations: 1}), o.Clip10, abs)
		check("clipping three times", of(0, centeredClip{tau: 1, iterations: 3}), o.Clip3, abs)
		check("nnm, trimmed mean", of(c.F, trimmedMean{count: c.F}), o.NNMTrimmed, abs)
		check("nnm, median", of(c.F, median{}), o.NNMMedian, abs)

		d, table := distancesOf(t, c.Input)
		score := scores(d, table.every(), c.F)
		check("Krum's scores", score, o.Scores, abs)
		best := lowest(score, 1)[0]
		if best != o.Best {
			t.Errorf("%s: Krum takes row %d, want %d", c.Name, best, o.Best)
		}
		check("Krum", of(0, krum{f: c.F}), c.Input[o.Best], 0)
		if o.OtherIndex != best {
			others++
			if near(of(0, krum{f: c.F}), o.OtherKrum, 1e-9, 1e-12) {
				t.Errorf("%s: Krum by another definition", c.Name)
			}
		}
		if chosen := lowest(score, o.M); slices.Equal(chosen, o.Chosen) {
			check("Multi-Krum", of(0, multiKrum{f: c.F}), o.MultiKrum, abs)
		} else if c.Gap != 0 { // else a tie that rounding decides
			t.Errorf("%s: Multi-Krum takes %v, want %v", c.Name, chosen, o.Chosen)
		}
		if err := table.premix(c.F); err != nil {
			t.Fatal(err)
		}
		for i, row := range rowsOf(t, table) {
			check(fmt.Sprintf("nnm's row %d", i), row, o.NNM[i], abs)
		}
	}
	if others == 0 {
		t.Error("no case in which another Krum takes another row")
	}
}

// distancesOf are those of rows, and the table that they are of.
func distancesOf(t testing.TB, rows [][]float64) ([][]float64, *table) {
	t.Helper()
	schema, err := model.NewSchema(model.Spec{Name: "w", DType: model.F64, Shape: []int{len(rows[0])}})
	if err != nil {
		t.Fatal(err)
	}
	table := &table{all: updatesOf(t, schema, rows, nil), n: len(rows), d: len(rows[0])}
	d, err := table.distances()
	if err != nil {
		t.Fatal(err)
	}
	return d, table
}

// rowsOf reads a table whole.
func rowsOf(t testing.TB, table *table) [][]float64 {
	t.Helper()
	out := make([][]float64, table.n)
	if err := table.blocks(table.every(), func(_ int, rows [][]float64) error {
		for i, r := range rows {
			out[i] = append(out[i], r...)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// delta is an update of a case of strategies.json.
type delta struct {
	Member string
	Delta  []float64
	N      uint64
}

func split(updates []delta) (rows [][]float64, ns []uint64) {
	for _, u := range updates {
		rows, ns = append(rows, u.Delta), append(ns, u.N)
	}
	return rows, ns
}

// selectiveCase is one of strategies.json.
type selectiveCase struct {
	ID, Strategy string
	Params       struct {
		Fraction, Nu, Tau           float64
		F, M, Iterations            int
		Start, Weighting, Selection string
	}
	Input struct {
		Updates []delta
		Rounds  [][]delta
	}
	Expected struct {
		Delta, Scores []float64
		Deltas, Mixed [][]float64
		Selected      []string
	}
	Tolerance struct{ Rel, Abs float64 }
	Other     *struct{ Delta []float64 } `json:"other_definition"`
}

// strategy is what the case is of; false for one that is none of ours.
func (c selectiveCase) strategy() (selective, bool) {
	p, bySamples := c.Params, c.Params.Weighting == "samples"
	switch c.Strategy {
	case "median":
		return selective{kernel: median{}}, true
	case "trimmed_mean":
		return selective{kernel: trimmedMean{beta: p.Fraction}}, true
	case "krum":
		return selective{kernel: krum{f: p.F}}, true
	case "multi_krum":
		return selective{kernel: multiKrum{f: p.F, m: p.M, bySamples: bySamples}}, true
	case "bulyan":
		return selective{kernel: bulyan{f: p.F}}, true
	case "geometric_median":
		return selective{kernel: geometricMedian{nu: p.Nu, iterations: p.Iterations, zero: p.Start == "zero", bySamples: bySamples}}, true
	case "centered_clip":
		return selective{kernel: centeredClip{tau: p.Tau, iterations: p.Iterations}}, true
	case "nnm+trimmed_mean":
		return selective{kernel: trimmedMean{count: p.F}, mix: p.F}, true
	case "nnm+median":
		return selective{kernel: median{}, mix: p.F}, true
	}
	return selective{}, false
}

func TestSelectiveVectors(t *testing.T) {
	t.Parallel()
	var file struct{ Cases []json.RawMessage }
	readVectors(t, "strategies.json", &file)
	ran, others := 0, 0
	for _, raw := range file.Cases {
		var id struct{ Strategy string }
		if err := json.Unmarshal(raw, &id); err != nil {
			t.Fatal(err)
		}
		if _, ours := (selectiveCase{Strategy: id.Strategy}).strategy(); !ours {
			continue
		}
		var c selectiveCase
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		s, _ := c.strategy()
		ran++
		rounds, want := c.Input.Rounds, c.Expected.Deltas
		if rounds == nil {
			rounds, want = [][]delta{c.Input.Updates}, [][]float64{c.Expected.Delta}
		}
		var carry []byte
		for i, updates := range rounds {
			rows, ns := split(updates)
			var got []float64
			got, carry = made(t, s, rows, ns, carry)
			if !near(got, want[i], c.Tolerance.Rel, c.Tolerance.Abs) {
				t.Errorf("%s, round %d: %v, want %v", c.ID, i+1, got, want[i])
			}
			if c.Other != nil {
				others++
				if near(got, c.Other.Delta, 1e-6, 1e-9) {
					t.Errorf("%s: by another definition", c.ID)
				}
			}
		}
		c.checkChoice(t)
	}
	if ran != 21 || others == 0 {
		t.Errorf("%d cases, %d of another definition", ran, others)
	}
}

// checkChoice compares what was chosen on the way.
func (c selectiveCase) checkChoice(t *testing.T) {
	t.Helper()
	rows, _ := split(c.Input.Updates)
	if rows == nil {
		return
	}
	d, table := distancesOf(t, rows)
	m := 1
	if c.Strategy == "multi_krum" {
		m = c.Params.M
	}
	score := scores(d, table.every(), c.Params.F)
	chosen := lowest(score, m)
	if c.Strategy == "bulyan" {
		if c.Params.Selection != "iterated" {
			return // one that is for comparison
		}
		chosen = bulyan{f: c.Params.F}.choose(d, table.every())
	}
	if c.Expected.Scores != nil && !near(score, c.Expected.Scores, c.Tolerance.Rel, c.Tolerance.Abs) {
		t.Errorf("%s: scores %v, want %v", c.ID, score, c.Expected.Scores)
	}
	if want := c.Expected.Selected; want != nil {
		var got []string
		for _, i := range chosen {
			got = append(got, c.Input.Updates[i].Member)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: chosen %v, want %v", c.ID, got, want)
		}
	}
	if c.Expected.Mixed != nil {
		if err := table.premix(c.Params.F); err != nil {
			t.Fatal(err)
		}
		for i, row := range rowsOf(t, table) {
			if !near(row, c.Expected.Mixed[i], c.Tolerance.Rel, c.Tolerance.Abs) {
				t.Errorf("%s: row %d mixed is %v, want %v", c.ID, i, row, c.Expected.Mixed[i])
			}
		}
	}
}

// The kernels give the bits of twins that have all rows at once: over several tensors of
// both types, over several blocks, whatever lies beside a tie.
func TestSelectiveTwins(t *testing.T) {
	t.Parallel()
	schema, err := model.NewSchema(
		model.Spec{Name: "a", Shape: []int{readBlock - 5}}, model.Spec{Name: "b", DType: model.F64, Shape: []int{7}}, model.Spec{Name: "c", Shape: []int{40}})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	rows := grid(11, schema.Elements())
	for i, r := range rows {
		for j := range r {
			r[j] = float64(float32(random.NormFloat64()))
			if j%3 == 0 {
				r[j] = float64(random.IntN(3)) // the same in several rows
			}
			if i == 4 && j%5 == 0 {
				r[j] = math.Copysign(0, -1)
			}
		}
	}
	rows[7] = slices.Clone(rows[2])
	ns := []uint64{5, 1, 9, 3, 2, 8, 1, 1, 4, 6, 7}
	all := updatesOf(t, schema, rows, ns)
	centre := make([]byte, 8*schema.Elements())
	fold.PutValues(centre, model.F64, rows[3])
	for name, c := range map[string]struct {
		s    selective
		twin []float64
	}{
		"median":           {selective{kernel: median{}}, twinColumns(rows, 5, 6)},
		"trimmed mean":     {selective{kernel: trimmedMean{beta: .2}}, twinColumns(rows, 2, 9)},
		"krum":             {selective{kernel: krum{f: 2}}, twinMean(rows, twinKrum(rows, 2, 1), nil)},
		"multi-krum":       {selective{kernel: multiKrum{f: 2}}, twinMean(rows, twinKrum(rows, 2, 9), nil)},
		"by samples":       {selective{kernel: multiKrum{f: 2, m: 4, bySamples: true}}, twinMean(rows, twinKrum(rows, 2, 4), ns)},
		"bulyan":           {selective{kernel: bulyan{f: 2}}, twinBulyan(rows, 2)},
		"geometric median": {selective{kernel: geometricMedian{nu: 1e-6, iterations: 3}}, twinGeometric(rows, 3)},
		"centered clip":    {selective{kernel: centeredClip{tau: 9, iterations: 2}}, twinClip(rows, rows[3], 9, 2)},
		"nnm":              {selective{kernel: trimmedMean{count: 2}, mix: 2}, twinColumns(twinMix(rows, 2), 2, 9)},
	} {
		got, _ := madeOf(t, c.s, all, centre)
		for j := range got {
			want := c.twin[j]
			if j < readBlock-5 || j >= readBlock+2 {
				want = float64(float32(want))
			}
			if got[j] != want {
				t.Fatalf("%s: coordinate %d is %v, want %v", name, j, got[j], want)
			}
		}
	}
}

// twinColumns is the mean of the values from place lo to hi of each coordinate, sorted.
func twinColumns(rows [][]float64, lo, hi int) []float64 {
	out := make([]float64, len(rows[0]))
	for j := range out {
		var x []float64
		for _, r := range rows {
			x = append(x, r[j])
		}
		slices.Sort(x)
		for _, v := range x[lo:hi] {
			out[j] += v
		}
		out[j] /= float64(hi - lo)
	}
	return out
}

func twinMean(rows [][]float64, which []int, ns []uint64) []float64 {
	out, total := make([]float64, len(rows[0])), 0.0
	for _, i := range which {
		n := 1.0
		if ns != nil {
			n = float64(ns[i])
		}
		total += n
		for j, x := range rows[i] {
			out[j] += float64(n * x)
		}
	}
	for j := range out {
		out[j] /= total
	}
	return out
}

func twinDistance(a, b []float64) (s float64) {
	for j := range a {
		d := a[j] - b[j]
		s += float64(d * d)
	}
	return s
}

// twinKrum is the m rows with the lowest scores, sorted.
func twinKrum(rows [][]float64, f, m int) []int {
	type scored struct {
		score float64
		i     int
	}
	var list []scored
	for i := range rows {
		var far []float64
		for j := range rows {
			if j != i {
				far = append(far, twinDistance(rows[i], rows[j]))
			}
		}
		slices.Sort(far)
		s := 0.0
		for _, v := range far[:max(1, len(rows)-f-2)] {
			s += v
		}
		list = append(list, scored{s, i})
	}
	slices.SortStableFunc(list, func(a, b scored) int { return cmp.Compare(a.score, b.score) })
	var which []int
	for _, s := range list[:m] {
		which = append(which, s.i)
	}
	slices.Sort(which)
	return which
}

func twinBulyan(rows [][]float64, f int) []float64 {
	left := slices.Clone(rows)
	var chosen [][]float64
	for range len(rows) - 2*f {
		i := twinKrum(left, f, 1)[0]
		chosen, left = append(chosen, left[i]), slices.Delete(left, i, i+1)
	}
	out := make([]float64, len(rows[0]))
	for j := range out {
		var x []float64
		for _, r := range chosen {
			x = append(x, r[j])
		}
		slices.Sort(x)
		mid := (x[(len(x)-1)/2] + x[len(x)/2]) / 2
		slices.SortStableFunc(x, func(a, b float64) int { return cmp.Compare(math.Abs(a-mid), math.Abs(b-mid)) })
		x = x[:len(rows)-4*f]
		slices.Sort(x)
		for _, v := range x {
			out[j] += v
		}
		out[j] /= float64(len(x))
	}
	return out
}

func twinGeometric(rows [][]float64, steps int) []float64 {
	z := twinMean(rows, twinKrum(rows, 2, len(rows)), nil)
	for range steps {
		next, total := make([]float64, len(z)), 0.0
		for _, r := range rows {
			b := 1 / max(1e-6, math.Sqrt(twinDistance(r, z)))
			total += b
			for j, x := range r {
				next[j] += float64(b * x)
			}
		}
		for j := range next {
			next[j] /= total
		}
		z = next
	}
	return z
}

func twinClip(rows [][]float64, centre []float64, tau float64, steps int) []float64 {
	v := slices.Clone(centre)
	for range steps {
		add := make([]float64, len(v))
		for _, r := range rows {
			s := min(1, tau/math.Sqrt(twinDistance(r, v)))
			for j, x := range r {
				add[j] += float64((x - v[j]) * s)
			}
		}
		for j := range v {
			v[j] += add[j] / float64(len(rows))
		}
	}
	return v
}

func twinMix(rows [][]float64, f int) (out [][]float64) {
	for i := range rows {
		which, far := make([]int, len(rows)), make([]float64, len(rows))
		for j := range which {
			which[j], far[j] = j, twinDistance(rows[i], rows[j])
		}
		slices.SortStableFunc(which, func(a, b int) int { return cmp.Compare(far[a], far[b]) })
		which = which[:len(rows)-f]
		slices.Sort(which)
		out = append(out, twinMean(rows, which, nil))
	}
	return out
}

// What a share of n comes to, where a product in binary is a little less.
func TestTrimmed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		beta    float64
		n, want int
	}{{.29, 100, 29}, {.2, 10, 2}, {.2, 9, 1}, {.1, 9, 0}, {.499, 3, 1}, {.499, 1000, 499}, {0, 7, 0}} {
		if got := (trimmedMean{beta: c.beta}).cut(c.n); got != c.want {
			t.Errorf("%v of %d: %d, want %d", c.beta, c.n, got, c.want)
		}
	}
}

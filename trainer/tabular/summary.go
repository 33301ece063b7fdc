package tabular

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/table"
	"github.com/fedmq/fedmq/pipeline"
)

// Summary says what a site trains on, for a person who looks before it does.
type Summary struct {
	Train, Test int // rows
	Features    []FeatureSummary
	Classes     []string // of a classification, with the rows of each
	TrainOf     []int
	TestOf      []int
	Target      FeatureSummary // of a regression, in its own unit
	Constant    []string       // features that are the same in every training row, or missing
	Duplicate   [][2]string    // features that are the same as another one in every training row
	Files       []File
	Warnings    []string // what may not be meant so, beside Data.Notes
}

// FeatureSummary is over the observed values of the training rows.
type FeatureSummary struct {
	Name               string
	Missing            int
	Mean, SD, Min, Max float64 // NaN without values
}

// Limits of what a summary warns of.
const (
	rareClass   = 0.10  // share of the rows
	leakRows    = 30    // say something about a leak
	leakCorr    = 0.999 // correlation with the target
	leakAUC     = 0.999 // of one feature alone, two classes
	leakBetween = 0.99  // share of a feature's variance that lies between classes
	farSD       = 20    // standard deviations from the mean
	farAlone    = 0.8   // share of a feature's variance that is one value's
	scaleRatio  = 1000  // between the deviations of two features
	sampleRows  = 20_000
)

// Summary describes the rows that are there now.
func (t *Trainer) Summary() Summary { return t.data.Summary() }

// Summary describes the rows.
func (d *Data) Summary() Summary {
	if d.pipe == nil {
		return Summary{Train: d.Train.N, Warnings: []string{"no features are listed: they, the target and what becomes of them are those of the task's contract, which comes with its model"}}
	}
	s := Summary{Train: d.Train.N, Test: d.Test.N, Constant: d.Constant(), Files: d.Files}
	dim := len(d.Features)
	for j, name := range d.Features {
		s.Features = append(s.Features, describe(name, column(d.Train, dim, j, d.Train.N)))
	}
	if d.Classes != nil {
		s.Classes, s.TrainOf, s.TestOf = d.Classes, countOf(d.Train.Y, len(d.Classes)), countOf(d.Test.Y, len(d.Classes))
	} else {
		s.Target = describe("", d.Train.Y)
	}
	s.Duplicate = d.duplicates()
	s.Warnings = slices.Concat(d.warnRows(len(s.Features)), s.warnClasses(), d.warnSpelling(), s.warnScale(d), s.warnTarget(d), d.warnFeatures(s.Constant))
	return s
}

// column is feature j of the first n rows.
func column(r Rows, dim, j, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = r.X[i*dim+j]
	}
	return out
}

func countOf(y []float64, classes int) []int {
	n := make([]int, classes)
	for _, v := range y {
		n[int(v)]++
	}
	return n
}

func describe(name string, x []float64) FeatureSummary {
	m := momentsOf(x, 1)
	f := FeatureSummary{Name: name, Missing: len(x) - int(m.N[0]), Mean: math.NaN(), SD: math.NaN(), Min: math.NaN(), Max: math.NaN()}
	if m.N[0] == 0 {
		return f
	}
	f.Mean, f.SD, f.Min, f.Max = m.Mean[0], math.Sqrt(m.M2[0]/m.N[0]), math.Inf(1), math.Inf(-1)
	each(x, 1, func(_ int, v float64) { f.Min, f.Max = min(f.Min, v), max(f.Max, v) })
	return f
}

// duplicates are pairs of features with the same values, told by a few numbers first.
func (d *Data) duplicates() (pairs [][2]string) {
	dim := len(d.Features)
	first := map[[4]uint64]int{}
	for j, name := range d.Features {
		x := column(d.Train, dim, j, d.Train.N)
		f := describe(name, x)
		if f.Min == f.Max || f.Missing == len(x) {
			continue
		}
		key := [4]uint64{uint64(f.Missing), math.Float64bits(f.Mean), math.Float64bits(f.Min), math.Float64bits(f.Max)}
		k, there := first[key]
		if !there {
			first[key] = j
			continue
		}
		if slices.EqualFunc(x, column(d.Train, dim, k, d.Train.N), func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }) {
			pairs = append(pairs, [2]string{d.Features[k], name})
		}
	}
	return pairs
}

// NoTestRows is the warning of a site that measures nothing.
const NoTestRows = "no test rows: no metric of the federation comes from this site; see test and split"

func (d *Data) warnRows(features int) (said []string) {
	seed := maphash.MakeSeed()
	switch {
	case d.Test.N == 0:
		said = append(said, NoTestRows)
	case d.Test.N == d.Train.N && d.Test.sum(seed) == d.Train.sum(seed):
		said = append(said, "the test rows are the training rows: a model is judged on rows that it has learned; see test and split")
	}
	if d.Train.N < 2*features {
		said = append(said, fmt.Sprintf("%d training rows for %d features: too few to learn from alone", d.Train.N, features))
	}
	return said
}

func (s *Summary) warnClasses() (said []string) {
	for i, c := range s.Classes {
		switch n := s.TrainOf[i]; {
		case n == 0:
			said = append(said, fmt.Sprintf("no training row is of the class %s", c))
		case float64(n) < rareClass*float64(s.Train):
			said = append(said, fmt.Sprintf("the class %s is rare, %.2g %% of the training rows: accuracy says little about it", c, 100*float64(n)/float64(s.Train)))
		}
		if s.TestOf[i] == 0 && s.TrainOf[i] > 0 && s.Test > 0 {
			said = append(said, fmt.Sprintf("no test row is of the class %s", c))
		}
	}
	return said
}

// warnSpelling names classes and categories that may be one.
func (d *Data) warnSpelling() (said []string) {
	c := d.pipe.Contract()
	lists := [][]string{c.Target.Classes}
	names := []string{c.Target.Name}
	for _, in := range c.Inputs {
		lists, names = append(lists, in.Values), append(names, in.Name)
	}
	for i, list := range lists {
		for _, pair := range table.Alike(list) {
			said = append(said, fmt.Sprintf("%q and %q of %s differ in capital letters, blanks or zeros alone: if they are one, list it once, and columns: {%[3]s: {values: {%[1]q: %[2]q}}}",
				pair[0], pair[1], names[i]))
		}
	}
	return said
}

// far says how far the most extreme value lies from the mean, where that is farther than
// values of one kind do.
func (f *FeatureSummary) far(rows int) (float64, bool) {
	if !(f.SD > 0) {
		return 0, false
	}
	far := max(f.Max-f.Mean, f.Mean-f.Min) / f.SD
	return far, far > farSD || rows >= leakRows && far*far > farAlone*float64(rows)
}

// odd says which values of a feature, x in rows for training and testing, are far from all
// others.
func (f *FeatureSummary) odd(x []float64, rows int) string {
	why := pipeline.Apart(x)
	if far, ok := f.far(rows); ok && why == "" {
		why = fmt.Sprintf("lies up to %.0f standard deviations from its mean", far)
	}
	if why == "" {
		return ""
	}
	return fmt.Sprintf("%s %s: see clip and zclip, or a number that stands for a missing value (missing)", f.Name, why)
}

// warnTarget looks for numbers that are none, and at what the model would be given.
func (s *Summary) warnTarget(d *Data) (said []string) {
	if s.Classes != nil || !(s.Target.SD > 0) {
		return nil
	}
	name := d.pipe.Contract().Target.Name
	if why := pipeline.Apart(slices.Concat(d.Train.Y, d.Test.Y)); why != "" {
		said = append(said, fmt.Sprintf("the target %s %s: a slip of the hand, a line with the sum of the others, or a number that stands for a missing value (missing)?", name, why))
	}
	a, b := d.pipe.Output(s.Target.Mean), d.pipe.Output(s.Target.Mean+s.Target.SD)
	if sd := math.Abs(b - a); sd > 100 || sd < .01 || math.Abs(a) > 100*max(sd, .01) {
		said = append(said, fmt.Sprintf("the target has mean %.3g and deviation %.2g as the model learns it: see target.offset and target.scale", a, sd))
	}
	return said
}

// warnScale looks at what a model without z-score would be given. What is 1 or 0 has a scale.
func (s *Summary) warnScale(d *Data) (said []string) {
	var small, large FeatureSummary
	indicators, dim := d.pipe.Indicators(), len(s.Features)
	for j, f := range s.Features {
		if !(f.SD > 0) || indicators[j] {
			continue
		}
		if small.SD == 0 || f.SD < small.SD {
			small = f
		}
		if f.SD > large.SD {
			large = f
		}
		if why := f.odd(append(column(d.Train, dim, j, s.Train), column(d.Test, dim, j, s.Test)...), s.Train); why != "" {
			said = append(said, why)
		}
	}
	if large.SD > scaleRatio*small.SD {
		said = append(said, fmt.Sprintf("features are of very different sizes, %s of %.2g and %s of %.2g: this wants statistics: zscore at the aggregator", large.Name, large.SD, small.Name, small.SD))
	}
	return said
}

// warnFeatures looks for features that are the target, or that number the rows.
func (d *Data) warnFeatures(constant []string) (said []string) {
	n := min(d.Train.N, sampleRows)
	if n < leakRows {
		return nil
	}
	dim := len(d.Features)
	y := d.Train.Y[:n]
	for j, name := range d.Features {
		if slices.Contains(constant, name) {
			continue
		}
		x := column(d.Train, dim, j, n)
		if why := d.leaks(x, y); why != "" {
			said = append(said, fmt.Sprintf("%s %s: does it come from the target, and will it be there when the model is used?", name, why))
		} else if d.pipe.Contract().Window == nil && counts(x) {
			said = append(said, name+" counts up from row to row: an id or a time teaches nothing that holds later")
		}
	}
	return said
}

// leaks says how a feature alone tells the target; "" if it does not.
func (d *Data) leaks(x, y []float64) string {
	switch {
	case d.Classes == nil:
		if r := correlation(x, y); r >= 1-1e-12 {
			return "is the target"
		} else if r > leakCorr {
			return fmt.Sprintf("nearly is the target (correlation %.4f)", r)
		}
	case len(d.Classes) == 2:
		if a := auc(x, y); a >= 1 {
			return "alone tells the two classes apart without an error"
		} else if a > leakAUC {
			return fmt.Sprintf("alone nearly tells the two classes apart (area under the curve %.4f)", a)
		}
	default:
		if b := between(x, y, len(d.Classes)); b > leakBetween {
			return fmt.Sprintf("alone nearly tells the classes apart (%.1f %% of its variance lies between them)", 100*b)
		}
	}
	return ""
}

// counts reports that whole numbers go up with every row.
func counts(x []float64) bool {
	for i, v := range x {
		if v != math.Trunc(v) || i > 0 && !(v > x[i-1]) {
			return false
		}
	}
	return true
}

// correlation is Pearson's, without its sign, over rows with a value.
func correlation(x, y []float64) float64 {
	var n, mx, my, xx, yy, xy float64
	for i, v := range x {
		if math.IsNaN(v) {
			continue
		}
		n++
		dx, dy := v-mx, y[i]-my
		mx += dx / n
		my += dy / n
		xx += dx * (v - mx)
		yy += dy * (y[i] - my)
		xy += dx * (y[i] - my)
	}
	if n < leakRows || xx == 0 || yy == 0 {
		return 0
	}
	return math.Abs(xy) / math.Sqrt(xx*yy)
}

// auc is the area under the ROC curve of one feature, in the better direction:
// from the ranks, ties shared (Mann and Whitney).
func auc(x, y []float64) float64 {
	var at []int
	for i, v := range x {
		if !math.IsNaN(v) {
			at = append(at, i)
		}
	}
	slices.SortFunc(at, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	var ranks, ones float64
	for i := 0; i < len(at); {
		j := i
		for j < len(at) && x[at[j]] == x[at[i]] {
			j++
		}
		for _, k := range at[i:j] {
			if y[k] == 1 {
				ones++
				ranks += float64(i+j+1) / 2
			}
		}
		i = j
	}
	zeros := float64(len(at)) - ones
	if ones < 2 || zeros < 2 {
		return 0
	}
	a := (ranks - ones*(ones+1)/2) / (ones * zeros)
	return max(a, 1-a)
}

// between is the share of a feature's variance that lies between the classes.
func between(x, y []float64, classes int) float64 {
	n, sum := make([]float64, classes), make([]float64, classes)
	var all, total float64
	for i, v := range x {
		if !math.IsNaN(v) {
			n[int(y[i])]++
			sum[int(y[i])] += v
			all++
			total += v
		}
	}
	mean := total / all
	var inside, outside float64
	for i, v := range x {
		if !math.IsNaN(v) {
			own := sum[int(y[i])] / n[int(y[i])]
			inside += (v - own) * (v - own)
			outside += (own - mean) * (own - mean)
		}
	}
	if all < leakRows || inside+outside == 0 {
		return 0
	}
	return outside / (inside + outside)
}

// String is the summary as site --check prints it.
func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  rows       %d for training, %d for testing\n", s.Train, s.Test)
	for _, f := range s.Files {
		about := ""
		if f.About != "" {
			about = " (" + f.About + ")"
		}
		fmt.Fprintf(&b, "  file       %s%s\n", f.Name, about)
	}
	if s.Classes == nil {
		fmt.Fprintf(&b, "  target     mean %.4g, sd %.4g, min %.4g, max %.4g\n", s.Target.Mean, s.Target.SD, s.Target.Min, s.Target.Max)
	}
	for i, c := range s.Classes {
		fmt.Fprintf(&b, "  class      %s: %d for training, %d for testing\n", c, s.TrainOf[i], s.TestOf[i])
	}
	width := len("feature")
	for _, f := range s.Features {
		width = max(width, len([]rune(f.Name)))
	}
	fmt.Fprintf(&b, "\n  %-*s  %8s %11s %11s %11s %11s\n", width, "feature", "missing", "mean", "sd", "min", "max")
	for _, f := range s.Features {
		fmt.Fprintf(&b, "  %-*s  %8d %11.4g %11.4g %11.4g %11.4g\n", width, f.Name, f.Missing, f.Mean, f.SD, f.Min, f.Max)
	}
	b.WriteString("\n")
	for _, p := range s.Duplicate {
		fmt.Fprintf(&b, "  duplicate  %s and %s are the same in every row\n", p[0], p[1])
	}
	if len(s.Constant) > 0 {
		fmt.Fprintf(&b, "  constant   %s\n", strings.Join(s.Constant, ", "))
	}
	for _, w := range s.Warnings {
		fmt.Fprintf(&b, "  warning    %s\n", w)
	}
	return b.String()
}

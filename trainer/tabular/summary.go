package tabular

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Summary says what a site trains on, for a person who looks before it does.
type Summary struct {
	Train, Test int // rows
	Features    []FeatureSummary
	Classes     []string // of a classification, with the rows of each
	TrainOf     []int
	TestOf      []int
	Target      FeatureSummary // of a regression, in its own unit
	Untargeted  bool           // the task gathers statistics and has no target, or it is not known yet
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

// Summary describes the rows that are there now.
func (t *Trainer) Summary() Summary { return t.data.Summary() }

// Summary describes the rows.
func (d *Data) Summary() Summary {
	if d.pipe == nil {
		return Summary{Train: d.Train.N, Untargeted: true, Warnings: []string{"no features are listed: they, the target and what becomes of them are those of the task's contract, which comes with its model; a task of statistics has columns and no target"}}
	}
	s := Summary{Train: d.Train.N, Test: d.Test.N, Constant: d.Constant(), Files: d.Files}
	dim := len(d.Features)
	for j, name := range d.Features {
		s.Features = append(s.Features, describe(name, column(d.Train, dim, j, d.Train.N)))
	}
	s.Duplicate = d.duplicates()
	if !d.Predicts() {
		s.Untargeted = true
		return s
	}
	if d.Classes != nil {
		s.Classes, s.TrainOf, s.TestOf = d.Classes, countOf(d.Train.Y, len(d.Classes)), countOf(d.Test.Y, len(d.Classes))
	} else {
		s.Target = describe("", d.Train.Y)
	}
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
	if s.Classes == nil && !s.Untargeted {
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

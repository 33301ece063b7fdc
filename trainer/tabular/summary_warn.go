package tabular

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/table"
	"github.com/fedmq/fedmq/pipeline"
)

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

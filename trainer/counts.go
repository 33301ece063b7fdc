package trainer

import (
	"fmt"
	"math"
	"sort"
)

const (
	// MaxClasses is how many classes can be counted.
	MaxClasses = 80
	// ScoreBins is how many bins a histogram of probabilities has.
	ScoreBins = 256
	// MaxRows is how many rows one site may count.
	MaxRows = 1 << 40
)

// Counts are numbers of a site's rows by class, and by what a classifier said of
// them. They are whole, so those of many sites are added exactly, in any order.
type Counts struct {
	Classes int
	// Confusion counts rows of class i that were taken for class j at
	// [i*Classes+j].
	Confusion []int64
	// Scores are histograms of the probability that the classifier gave to each
	// class: at [(k*2+s)*ScoreBins+b] the rows whose probability of class k lies in
	// bin b (see [Bin]), of the other classes for s = 0, of class k for s = 1. Nil
	// where it gives none.
	Scores []uint32
}

// NewCounts returns counts of nothing.
func NewCounts(classes int, probabilities bool) *Counts {
	c := &Counts{Classes: classes, Confusion: make([]int64, classes*classes)}
	if probabilities {
		c.Scores = make([]uint32, classes*2*ScoreBins)
	}
	return c
}

// Add counts one row of class actual that was taken for class predicted, and its
// probabilities, one a class, where they are counted.
func (c *Counts) Add(actual, predicted int, p []float64) {
	c.Confusion[actual*c.Classes+predicted]++
	if c.Scores == nil {
		return
	}
	for k, v := range p {
		side := 0
		if k == actual {
			side = 1
		}
		c.Scores[(k*2+side)*ScoreBins+Bin(v)]++
	}
}

// Rows is how many rows were counted.
func (c *Counts) Rows() (n int64) {
	for _, v := range c.Confusion {
		n += v
	}
	return n
}

// Correct is how many rows were taken for the class that they are of.
func (c *Counts) Correct() (n int64) {
	for i := range c.Classes {
		n += c.Confusion[i*c.Classes+i]
	}
	return n
}

// actual is how many rows are of class i.
func (c *Counts) actual(i int) (n int64) {
	for _, v := range c.Confusion[i*c.Classes : (i+1)*c.Classes] {
		n += v
	}
	return n
}

// Check reports the first thing that no counts can be: too many classes or rows, a
// number below 0, a length that does not fit.
func (c *Counts) Check() error {
	if c.Classes < 2 || c.Classes > MaxClasses {
		return fmt.Errorf("counts of %d classes, want 2 to %d", c.Classes, MaxClasses)
	}
	if len(c.Confusion) != c.Classes*c.Classes {
		return fmt.Errorf("confusion has %d numbers, want %d for %d classes", len(c.Confusion), c.Classes*c.Classes, c.Classes)
	}
	if c.Scores != nil && len(c.Scores) != c.Classes*2*ScoreBins {
		return fmt.Errorf("scores have %d numbers, want %d for %d classes", len(c.Scores), c.Classes*2*ScoreBins, c.Classes)
	}
	var n int64
	for i, v := range c.Confusion {
		if v < 0 || v > MaxRows-n {
			return fmt.Errorf("confusion: %d rows of class %d taken for %d, want 0 or more, and at most %d rows together", v, i/c.Classes, i%c.Classes, int64(MaxRows))
		}
		n += v
	}
	return nil
}

// problem says why counts beside n rows cannot be used.
func (c *Counts) problem(n float64) string {
	if err := c.Check(); err != nil {
		return err.Error()
	}
	if float64(c.Rows()) != n {
		return fmt.Sprintf("the confusion counts %d rows, n says %v", c.Rows(), n)
	}
	return c.scoresProblem()
}

// scoresProblem says which histogram is not of the rows that the confusion counts.
func (c *Counts) scoresProblem() string {
	if c.Scores == nil {
		return ""
	}
	rows := c.Rows()
	for k := range c.Classes {
		is := c.actual(k)
		for side, want := range [2]int64{rows - is, is} {
			var got int64
			for _, v := range c.histogram(k, side) {
				got += int64(v)
			}
			if got != want {
				return fmt.Sprintf("the scores of class %d count %d rows, the confusion %d", k, got, want)
			}
		}
	}
	return ""
}

// histogram is that of class k, over the rows of the others (0) or its own (1).
func (c *Counts) histogram(k, side int) []uint32 {
	at := (k*2 + side) * ScoreBins
	return c.Scores[at : at+ScoreBins]
}

// edges are the lower ends of the bins of a probability. Below a half they are steps of
// 1/128 from a quarter, of 1/256 from 1/32, and four in each octave below that, down to
// 2^-15: where a fault is rare, its probabilities lie close together near 0. The upper
// half is its mirror image. All are exact in binary64.
var edges = func() (e [ScoreBins]float64) {
	const half = ScoreBins / 2
	for i := 1; i < half; i++ {
		switch {
		case i < 40:
			e[i] = math.Ldexp(1+float64(i%4)/4, i/4-15)
		case i < 96:
			e[i] = float64(i-32) / 256
		default:
			e[i] = 0.25 + float64(i-96)/128
		}
	}
	e[half] = 0.5
	for i := 1; i < half; i++ {
		e[ScoreBins-i] = 1 - e[i]
	}
	return e
}()

// Edge is the least probability of bin b, 0 to ScoreBins-1.
func Edge(b int) float64 { return edges[b] }

// Bin is the bin of a probability: the last whose edge is not above it. What is not
// from 0 to 1 is in the nearest one, and NaN in the first.
func Bin(p float64) int {
	return max(sort.Search(ScoreBins, func(b int) bool { return edges[b] > p || p != p })-1, 0)
}

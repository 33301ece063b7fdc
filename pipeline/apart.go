package pipeline

import (
	"fmt"
	"math"
	"slices"
)

// Limits of numbers that lie apart from all others.
const (
	farApart  = 10. // times what the middle half of all spans
	fewApart  = 20  // of so many one, at most, lies apart: more are another kind of rows
	fewValues = 10  // different ones
)

// Apart says which of the numbers of a column lie apart from all others, and between which the
// others lie, as in "is from -999 to 5.2, and without 2 of its 200 values from 3 to 5.2"; "" if
// none does. However far they are, they do not hide themselves, as they do in a standard
// deviation. NaN is no number; x is put in order.
func Apart(x []float64) string {
	x = slices.DeleteFunc(x, math.IsNaN)
	few, n := len(x)/fewApart, len(x)
	if few == 0 {
		return ""
	}
	if why := code(x); why != "" {
		return why
	}
	slices.Sort(x)
	wide := farApart * middle(x)
	if wide == 0 { // most are one value, such as 0
		different := slices.Compact(slices.Clone(x))
		if wide = farApart * middle(different); len(different) < fewValues {
			return ""
		}
	}
	from, to := 0, n-1
	for i := 1; i <= few; i++ {
		if x[i]-x[i-1] > wide {
			from = i
		}
		if x[n-i]-x[n-i-1] > wide {
			to = n - i - 1
		}
	}
	if from == 0 && to == n-1 {
		return ""
	}
	return fmt.Sprintf("is from %.4g to %.4g, and without %d of its %d values from %.4g to %.4g", x[0], x[n-1], n-1-to+from, n, x[from], x[to])
}

// middle is what the middle half of sorted numbers spans.
func middle(x []float64) float64 { return x[len(x)*3/4] - x[len(x)/4] }

// codeShare is the part of the rows from which on a value far from all others is no
// slip of the hand.
const codeShare = 1. / 500

// code says which number may stand for a missing one, as -999 does: the
// smallest or the largest, in several rows, and farther from the next than all others
// lie apart. "" if none does.
func code(x []float64) string {
	for _, sign := range []float64{1, -1} {
		least, times, n := math.Inf(1), 0, 0
		next, most := math.Inf(1), math.Inf(-1) // of the others
		for _, v := range x {
			if math.IsNaN(v) {
				continue
			}
			n++
			v *= sign
			most = max(most, v)
			switch {
			case v < least:
				next, least, times = least, v, 1
			case v == least:
				times++
			default:
				next = min(next, v)
			}
		}
		if most > next && next-least > most-next && times >= 3 && float64(times) >= codeShare*float64(n) {
			low, high := sign*next, sign*most
			return fmt.Sprintf("is %v in %d of %d rows, and from %.4g to %.4g in all others",
				sign*least, times, n, min(low, high), max(low, high))
		}
	}
	return ""
}

package tabular

import (
	"fmt"
	"math"
)

// codeShare is the part of the rows from which on a value far from all others is no
// slip of the hand.
const codeShare = 1. / 500

// code says which value of a feature may stand for a missing one, as -999 does: the
// smallest or the largest, in several rows, and farther from the next than all others
// lie apart. "" if none does.
func code(name string, x []float64) string {
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
			return fmt.Sprintf("%s is %v in %d of %d rows, and from %.4g to %.4g in all others: does it stand for a missing value (missing)?",
				name, sign*least, times, n, min(low, high), max(low, high))
		}
	}
	return ""
}

package pipeline

import (
	"fmt"
	"math"
)

// Spread is what the numbers of a column are, at one site.
type Spread struct {
	N                  int
	Mean, SD, Min, Max float64
}

// Limits of what another unit explains.
const (
	unlike = 3.  // so far apart two spreads are not one quantity in one unit
	alike  = 1.  // so near they are, after the conversion
	odd    = 0.3 // nearer has to be a factor that is no power of ten
	fewest = 10  // rows
)

// OtherUnit says which units would explain that two sites have so unlike values of one
// column, such as "1000 times as much, as Pa beside kPa"; "" if none does, or they are
// not unlike. The words are of the first, beside the second.
func OtherUnit(a, b Spread) (words, from, to string) {
	if a.N < fewest || b.N < fewest || distance(a, b, Conversion{1, 0}) < unlike {
		return "", "", ""
	}
	best := alike
	for _, q := range quantities {
		for _, u := range q {
			for _, w := range q {
				c := Conversion{w.factor / u.factor, (w.offset - u.offset) / u.factor} // of b's, in w, to u
				d := distance(a, b, c)
				if power := math.Log10(c.factor); c.offset == 0 && math.Abs(power-math.Round(power)) > 1e-9 {
					d += odd
				}
				if d < best-1e-9 {
					best, from, to = d, u.name, w.name
					words = fmt.Sprintf("as %s beside %s", u.name, w.name)
					if c.offset == 0 {
						words = fmt.Sprintf("%.3g times as much, %s", c.factor, words)
					}
				}
			}
		}
	}
	return words, from, to
}

// distance is how unlike two spreads are when c converts the second: the distance of their
// means in deviations, and of the logarithms of the deviations.
func distance(a, b Spread, c Conversion) float64 {
	mean, sd := c.Apply(b.Mean), b.SD*c.factor
	if !(a.SD > 0) || !(sd > 0) {
		return math.Abs(a.Mean-mean) / max(math.Abs(a.Mean), math.Abs(mean), 1e-300) * 2 * unlike
	}
	return math.Abs(a.Mean-mean)/max(a.SD, sd) + math.Abs(math.Log(a.SD/sd))
}

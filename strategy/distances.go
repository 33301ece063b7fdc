package strategy

import (
	"cmp"
	"slices"
)

// distances returns the squared L2 distance of every row to every other, by their
// differences from the first coordinate to the last: a difference of two large squares
// would have lost what tells updates apart.
func (t *table) distances() ([][]float64, error) {
	d := grid(t.n, t.n)
	var pairs []pair
	for i := range d {
		for j := i + 1; j < t.n; j++ {
			pairs = append(pairs, pair{x: i, y: j, sum: &d[i][j]})
		}
	}
	err := t.blocks(t.every(), func(_ int, rows [][]float64) error {
		addSquares(pairs, rows)
		return nil
	})
	for i := range d {
		for j := range i {
			d[i][j] = d[j][i]
		}
	}
	return d, err
}

// pair is two rows and the sum of their squared differences.
type pair struct {
	x, y int
	sum  *float64
}

// side is how many sums are made side by side: one alone waits for each of its additions.
const side = 4

// addSquares adds the squared differences of a block of coordinates to the sums of pairs.
// The pairs are shared out among processors, and each sum is one of them alone's.
func addSquares(pairs []pair, rows [][]float64) {
	d := len(rows[0])
	spread(len(pairs), d, side, func(from, to int) {
		for lo := 0; lo < d; lo += block { // what is near stays in the nearest memory
			for four := range slices.Chunk(pairs[from:to], side) {
				squares(four, rows, lo, min(lo+block, d))
			}
		}
	})
}

// squares adds those of the coordinates from lo to hi to at most four sums.
func squares(four []pair, rows [][]float64, lo, hi int) {
	var x, y [side][]float64
	var s [side]float64
	for k := range x {
		p := four[min(k, len(four)-1)] // what is too much is thrown away
		x[k], y[k], s[k] = rows[p.x][lo:hi], rows[p.y][lo:hi], *p.sum
	}
	n := len(x[0])
	x0, x1, x2, x3 := x[0][:n], x[1][:n], x[2][:n], x[3][:n]
	y0, y1, y2, y3 := y[0][:n], y[1][:n], y[2][:n], y[3][:n]
	s0, s1, s2, s3 := s[0], s[1], s[2], s[3]
	for j := range n {
		d0, d1, d2, d3 := x0[j]-y0[j], x1[j]-y1[j], x2[j]-y2[j], x3[j]-y3[j]
		s0 += float64(d0 * d0)
		s1 += float64(d1 * d1)
		s2 += float64(d2 * d2)
		s3 += float64(d3 * d3)
	}
	for k, v := range []float64{s0, s1, s2, s3}[:len(four)] {
		*four[k].sum = v
	}
}

// nearest returns the others by their distance from row i, those that are as far by their
// number.
func nearest(d []float64, i int, others []int) []int {
	list := slices.DeleteFunc(slices.Clone(others), func(j int) bool { return j == i })
	slices.SortFunc(list, func(a, b int) int { return cmp.Or(cmp.Compare(d[a], d[b]), cmp.Compare(a, b)) })
	return list
}

package pipeline

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// stat is a statistic of the last rows of a window: slope, or mean of k.
type stat struct {
	slope bool
	rows  int
}

// CheckStat returns an error if no window of so many rows has the statistic.
func CheckStat(name string, rows int) error {
	_, err := parseStat(name, rows)
	return err
}

func parseStat(name string, window int) (stat, error) {
	if name == "slope" || name == "mean" {
		return stat{name == "slope", window}, nil
	}
	digits, ok := strings.CutPrefix(name, "mean")
	k, err := strconv.Atoi(digits)
	switch {
	case !ok || err != nil || digits[0] == '+':
		return stat{}, fmt.Errorf("unknown %q, want mean, mean<k> or slope", name)
	case k < 1 || k > window:
		return stat{}, fmt.Errorf("%q: want 1 to %d rows, the window", name, window)
	}
	return stat{false, k}, nil
}

// Window appends to dst the features of a window: for each statistic, all columns.
// rows is what Row made of the rows of a unit in their order; the last ones
// count, as many as the window has.
func (p *Pipeline) Window(dst, rows []float64) []float64 {
	window := rows[max(0, len(rows)-p.contract.Window.Rows*p.width):]
	for _, s := range p.stats {
		for j := range p.width {
			dst = append(dst, s.of(window, p.width, j))
		}
	}
	return dst
}

// of computes the statistic of column j of a window x with the given width.
func (s stat) of(x []float64, width, j int) float64 {
	n := len(x) / width
	from := max(0, n-s.rows)
	var count, sum, at float64
	for i := from; i < n; i++ {
		if v := x[i*width+j]; !math.IsNaN(v) {
			count++
			sum += v
			at += float64(i)
		}
	}
	if count == 0 {
		return math.NaN()
	}
	if !s.slope {
		return sum / count
	}
	at /= count
	var num, den float64
	for i := from; i < n; i++ {
		if v := x[i*width+j]; !math.IsNaN(v) {
			d := float64(i) - at
			num += d * v
			den += d * d
		}
	}
	return num / max(den, 1) * float64(n-from)
}

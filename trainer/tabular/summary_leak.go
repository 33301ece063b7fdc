package tabular

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

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

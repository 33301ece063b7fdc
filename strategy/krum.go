package strategy

import "slices"

// krum takes the update that is nearest to those that are nearest to it, as it is:
// Blanchard et al. 2017, https://arxiv.org/abs/1703.02757
type krum struct{ f int }

func (k krum) least() int { return 2*k.f + 3 }

func (k krum) mean(t *table, _ []byte, out *Output) error {
	return multiKrum{f: k.f, m: 1}.mean(t, nil, out)
}

// multiKrum takes the mean of the m updates with the lowest scores.
type multiKrum struct {
	f, m      int // m 0: n-f
	bySamples bool
}

func (k multiKrum) least() int { return max(2*k.f+3, k.m+k.f) }

func (k multiKrum) mean(t *table, _ []byte, out *Output) error {
	m := k.m
	if m == 0 {
		m = t.n - k.f
	}
	if m < 1 || m > t.n {
		return t.few("krum", max(k.f+1, k.m))
	}
	d, err := t.distances()
	if err != nil {
		return err
	}
	chosen := lowest(scores(d, t.every(), k.f), m)
	return t.meanOf(chosen, t.shares(chosen, k.bySamples), out)
}

// scores is Krum's of rows: the sum of the squared distances to the nearest others, as
// many as there would be good ones, without f and itself and one more.
func scores(d [][]float64, rows []int, f int) []float64 {
	out := make([]float64, len(rows))
	for k, i := range rows {
		list := nearest(d[i], i, rows)
		for _, j := range list[:min(max(1, len(rows)-f-2), len(list))] {
			out[k] += d[i][j]
		}
	}
	return out
}

// lowest returns the places of the m lowest values, in order of place; of two that are
// the same the first.
func lowest(x []float64, m int) []int {
	chosen := nearest(x, -1, firsts(len(x)))[:m]
	slices.Sort(chosen)
	return chosen
}

package strategy

import "slices"

// bulyan chooses n-2f updates by Krum, one at a time of those that are left, and takes of
// each coordinate the mean of the n-4f values nearest to the median of the chosen:
// El Mhamdi et al. 2018, https://arxiv.org/abs/1802.07927
type bulyan struct{ f int }

func (b bulyan) least() int { return 4*b.f + 3 }

func (b bulyan) mean(t *table, _ []byte, out *Output) error {
	if t.n-4*b.f < 1 {
		return t.few("bulyan", 4*b.f+1)
	}
	d, err := t.distances()
	if err != nil {
		return err
	}
	chosen := b.choose(d, t.every())
	return t.byColumn(chosen, out, func(sorted []float64) float64 { return around(sorted, t.n-4*b.f) })
}

// choose takes rows by Krum, each time scored anew among those left.
func (b bulyan) choose(d [][]float64, left []int) (chosen []int) {
	for range len(left) - 2*b.f {
		k := lowest(scores(d, left, b.f), 1)[0]
		chosen = append(chosen, left[k])
		left = slices.Delete(left, k, k+1)
	}
	slices.Sort(chosen)
	return chosen
}

// around is the mean of the m of sorted values that are nearest to their median; of two
// that are as far, the lower.
func around(sorted []float64, m int) float64 {
	mid := middle(sorted)
	for len(sorted) > m {
		if last := len(sorted) - 1; mid-sorted[0] > sorted[last]-mid {
			sorted = sorted[1:]
		} else {
			sorted = sorted[:last]
		}
	}
	return sum(sorted) / float64(m)
}

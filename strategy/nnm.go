package strategy

import "slices"

// premix makes each row the mean of the n-f updates nearest to it, itself one of them:
// what is far from all others is drawn to them before anything is chosen.
// Allouah et al. 2023, https://arxiv.org/abs/2302.01772
func (t *table) premix(f int) error {
	if t.n-f < 1 {
		return t.few("premix nnm", f+1)
	}
	d, err := t.distances()
	if err != nil {
		return err
	}
	of := make([][]int, t.n)
	for i := range of {
		of[i] = append(nearest(d[i], i, t.every())[:t.n-f-1], i)
		slices.Sort(of[i])
	}
	t.of = of
	return nil
}

package tabular

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// noteGroup notes what the current row belongs to.
func (l *loader) noteGroup(t rows, p *layout, to *sink) {
	if len(p.kin) == 0 {
		return
	}
	cells := make([]string, len(p.kin))
	for i, c := range p.kin {
		cells[i] = t.Text(c)
	}
	if l.groups == nil {
		l.groups = map[string]int{}
	}
	key := unitKey(cells)
	id, ok := l.groups[key]
	if !ok {
		id = len(l.groups)
		l.groups[key] = id
	}
	to.rows.group = append(to.rows.group, id)
}

// Fold returns d with other training and test rows: all rows are dealt into so
// many folds, and the k-th, from 0, are the test rows. Rows that belong together,
// by Config.Together or as windows of one unit, are in one fold, so that a fold may
// have no test rows. Each class is dealt evenly, as far as that goes. The seed decides
// who is dealt where.
func (d *Data) Fold(k, folds int, seed uint64) (*Data, error) {
	var all Rows
	all.append(d.Train)
	all.append(d.Test)
	units := d.units(all.N)
	if folds < 2 || len(units) < 2 {
		return nil, fmt.Errorf("tabular: %d folds of %d rows or groups of rows: want 2 or more of both", folds, len(units))
	}
	rng := rand.New(rand.NewPCG(seed, uint64(folds))) //nolint:gosec // who is dealt where is no secret
	rng.Shuffle(len(units), func(i, j int) { units[i], units[j] = units[j], units[i] })
	if d.Classes != nil {
		slices.SortStableFunc(units, func(a, b []int) int { return cmp.Compare(all.Y[a[0]], all.Y[b[0]]) })
	}
	first := rng.IntN(folds) // the folds that one more is dealt to are others at another site
	out := *d
	out.Train, out.Test = Rows{}, Rows{}
	for i, rows := range units {
		to := &out.Train
		if (first+i)%folds == k {
			to = &out.Test
		}
		for _, row := range rows {
			to.take(all, row, len(d.Features))
		}
	}
	return &out, nil
}

// units are the rows of Train and Test, counted through, by what they belong to.
func (d *Data) units(n int) (list [][]int) {
	group := slices.Concat(d.Train.group, d.Test.group)
	if len(group) != n {
		for i := range n {
			list = append(list, []int{i})
		}
		return list
	}
	at := map[int]int{}
	for row, g := range group {
		i, ok := at[g]
		if !ok {
			i = len(list)
			at[g], list = i, append(list, nil)
		}
		list[i] = append(list[i], row)
	}
	return list
}

// take appends one row of all.
func (r *Rows) take(all Rows, row, dim int) {
	r.N++
	r.X = append(r.X, all.X[row*dim:(row+1)*dim]...)
	r.Y = append(r.Y, all.Y[row])
}

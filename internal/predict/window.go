package predict

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/trainer/tabular"
)

// unit is the rows of one unit, by their position in the file.
type unit struct {
	rows  []int
	order []float64
}

// windows predicts at each row from the rows of its unit up to it: from the first full
// window on, and at the last row of a unit that is shorter, as an evaluation does.
func (p *Predictor) windows(ctx context.Context, to Writer) error {
	rows, x, units, err := p.readUnits()
	if err != nil {
		return err
	}
	pipe, n := p.model.Pipeline(), p.model.Width()
	width, length := pipe.Width(), p.contract().Window.Rows
	said := make([]float64, len(rows)*n)
	for i := range said {
		said[i] = math.NaN()
	}
	for _, u := range units {
		if err := ctx.Err(); err != nil {
			return err
		}
		u.sort()
		var own []float64
		for i, at := range u.rows {
			own = append(own, x[at*width:(at+1)*width]...)
			if i+1 >= length || i+1 == len(u.rows) {
				features := pipe.Window(nil, own)
				p.measure(features)
				copy(said[at*n:], p.model.Predict(nil, features))
			}
		}
	}
	return p.write(to, rows, said)
}

// readUnits reads the whole table: its rows, what becomes of them before windows, and
// which belong together.
func (p *Predictor) readUnits() (rows [][]Value, x []float64, units []*unit, err error) {
	byName := map[string]*unit{}
	for {
		row, ok, err := p.next()
		if err != nil || !ok {
			return rows, x, units, err
		}
		var name strings.Builder
		for _, c := range p.group {
			name.WriteString(p.table.Text(c))
			name.WriteByte(0)
		}
		u := byName[name.String()]
		if u == nil {
			u = &unit{}
			byName[name.String()], units = u, append(units, u)
		}
		if p.order >= 0 {
			v, err := p.table.Order(p.order)
			if err == nil && math.IsNaN(v) {
				err = fmt.Errorf("%s: what orders the rows is missing", p.table.At(p.order))
			}
			if err != nil {
				return nil, nil, nil, err
			}
			u.order = append(u.order, v)
		}
		u.rows = append(u.rows, len(rows))
		rows = append(rows, row)
		if x, err = p.features(x); err != nil {
			return nil, nil, nil, err
		}
		if len(x) > tabular.MaxValues {
			return nil, nil, nil, fmt.Errorf("%s: more than %d values: want the file in parts", p.table.At(0), tabular.MaxValues)
		}
	}
}

// sort puts the rows in order; those with the same order keep theirs.
func (u *unit) sort() {
	if u.order == nil || slices.IsSorted(u.order) {
		return
	}
	at := make([]int, len(u.rows))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(u.order[a], u.order[b]) })
	rows := make([]int, len(at))
	for i, j := range at {
		rows[i] = u.rows[j]
	}
	u.rows = rows
}

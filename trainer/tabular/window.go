package tabular

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// series is one unit: its rows in order.
type series struct {
	id    int       // of all units
	name  []string  // cells of the group columns
	order []float64 // by which to sort, if asked for
	x     []float64 // rows x columns
	y     []float64 // target column, if there is one
}

// unitKey makes one key of the cells of the group columns.
func unitKey(cells []string) string { return strings.Join(cells, "\x00") }

// series finds or begins the unit of the current row.
func (l *loader) series(t rows, p *layout, to *sink) (*series, error) {
	cells := make([]string, len(p.group))
	for i, c := range p.group {
		cells[i] = t.Text(c)
	}
	key := unitKey(cells)
	s := to.units[key]
	if s == nil {
		for i := range cells {
			cells[i] = strings.Clone(cells[i])
		}
		s = &series{id: len(l.train.series) + len(l.test.series), name: cells}
		if to.units == nil {
			to.units = map[string]*series{}
		}
		to.units[key], to.series = s, append(to.series, s)
	}
	if p.order < 0 {
		return s, nil
	}
	v, err := t.order(p.order)
	if err == nil && math.IsNaN(v) {
		err = fmt.Errorf("tabular: %s: derive.order is missing", t.At(p.order))
	}
	s.order = append(s.order, v)
	return s, err
}

// sort puts the rows in order; rows with the same order keep theirs.
func (s *series) sort(width int) {
	if slices.IsSorted(s.order) {
		return
	}
	at := make([]int, len(s.order))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(s.order[a], s.order[b]) })
	x, y := make([]float64, 0, len(s.x)), make([]float64, 0, len(s.y))
	for _, i := range at {
		x = append(x, s.x[i*width:(i+1)*width]...)
		if len(s.y) > 0 {
			y = append(y, s.y[i])
		}
	}
	s.x, s.y = x, y
}

// derive replaces the series by rows of window statistics.
func (l *loader) derive() error {
	truth, err := l.truth()
	if err != nil {
		return err
	}
	for _, to := range []*sink{&l.train, &l.test} {
		for _, s := range to.series {
			left := 0.0
			if to.test && truth != nil {
				var ok bool
				if left, ok = truth[unitKey(s.name)]; !ok {
					return fmt.Errorf("tabular: %s: no row for %s", l.config.Target.RowsLeft.Truth, strings.Join(s.name, ", "))
				}
			}
			if err := l.windows(to, s, left); err != nil {
				return err
			}
		}
		to.series, to.units = nil, nil
	}
	return nil
}

// windows adds the rows of one unit. left is how many rows follow its last.
func (l *loader) windows(to *sink, s *series, left float64) error {
	d, width := l.config.Derive, l.pipe.Width()
	s.sort(width)
	n := len(s.x) / width
	first, stride := d.Window, max(1, d.Stride)
	if to.test && d.Test != "all" {
		first = n
	}
	for end := first; end <= n; end += stride {
		if len(s.y) > 0 && math.IsNaN(s.y[end-1]) {
			l.without.windows++
			continue
		}
		to.rows.X = l.pipe.Window(to.rows.X, s.x[:end*width])
		to.rows.N++
		to.rows.group = append(to.rows.group, s.id)
		if r := l.config.Target.RowsLeft; r != nil {
			to.rows.Y = append(to.rows.Y, min(r.Cap, left+float64(n-end)))
		} else {
			to.rows.Y = append(to.rows.Y, s.y[end-1])
		}
		if l.values += len(l.pipe.Features()); l.values > MaxValues {
			return fmt.Errorf("tabular: derive: more than %d values", MaxValues)
		}
	}
	return nil
}

// truth reads how many rows follow the last one of each test unit; nil if no
// file is named.
func (l *loader) truth() (out map[string]float64, err error) {
	r := l.config.Target.RowsLeft
	if r == nil || r.Truth == "" {
		return nil, nil
	}
	t, err := openTable(l.files, r.Truth, l.config.format())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	group := make([]int, len(l.config.Derive.Group))
	value := len(t.Names()) * (len(t.Names()) - 1) / 2 // the column that is left over
	for i, name := range l.config.Derive.Group {
		file, keys := l.fileColumn("derive.group", name)
		if group[i], err = t.column(keys, file); err != nil {
			return nil, err
		}
		value -= group[i]
	}
	if len(t.Names()) != len(group)+1 {
		return nil, fmt.Errorf("tabular: %s: want the columns of derive.group and one more, not %d", r.Truth, len(t.Names()))
	}
	out = map[string]float64{}
	cells := make([]string, len(group))
	for {
		ok, err := t.next()
		if !ok || err != nil {
			return out, err
		}
		for i, c := range group {
			cells[i] = t.Text(c)
		}
		v, err := t.measured(value)
		if err != nil {
			return nil, err
		}
		if !(v >= 0) {
			return nil, fmt.Errorf("tabular: %s: want the rows left, 0 or more", t.At(value))
		}
		key := unitKey(cells)
		if _, twice := out[key]; twice {
			return nil, fmt.Errorf("tabular: %s: %s is there twice", t.At(0), strings.Join(cells, ", "))
		}
		out[key] = v
	}
}

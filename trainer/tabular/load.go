package tabular

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Load reads the rows that c describes. Files are read as a stream; only the
// values of rows and columns in use are kept, at most MaxValues. Errors name
// file, line and column, or are *KeyError.
func Load(open Opener, c Config) (*Data, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	pick, err := c.selections()
	if err != nil {
		return nil, err
	}
	var files []File
	began := time.Now()
	l := loader{config: &c, open: track(open, &files), train: sink{}, test: sink{test: true}}
	if l.classes, err = classIndex(c.Target.Classes); err != nil {
		return nil, err
	}
	if c.Test == "" && c.Split == nil {
		err = l.read(c.Train, feed{&l.train, pick.train})
	} else if c.Test == "" {
		err = l.read(c.Train, feed{&l.train, pick.train}, feed{&l.test, pick.test})
	} else if err = l.read(c.Train, feed{&l.train, pick.train}); err == nil {
		err = l.read(c.Test, feed{&l.test, pick.test})
	}
	if err != nil {
		return nil, err
	}
	d, err := l.finish()
	if err != nil {
		return nil, err
	}
	d.Notes, d.Files, d.Read = pick.notes(), files, began
	return d, nil
}

// loader holds what a Load has read.
type loader struct {
	config      *Config
	open        Opener
	classes     *values
	train, test sink
	values      int            // kept so far
	groups      map[string]int // of Together, numbered as they come
}

// sink collects rows of one kind: finished ones, or series to derive from.
type sink struct {
	test   bool
	rows   Rows
	units  map[string]*series
	series []*series // by first appearance
}

// feed sends the rows that meet all conditions to a sink.
type feed struct {
	to    *sink
	where []condition
}

// layout says where in a table things are.
type layout struct {
	sources []source
	target  int // -1 if no column
	group   []int
	kin     []int   // Together
	order   int     // -1 if none
	where   [][]int // by feed, by condition
}

type source struct {
	column int
	*Feature
}

func (l *loader) layout(t *table, feeds []feed) (layout, error) {
	c := l.config
	p := layout{target: -1, order: -1}
	var errs []error
	find := func(key, name string) int {
		i, err := t.column(key, name)
		errs = append(errs, err)
		return i
	}
	for i := range c.Features {
		f := &c.Features[i]
		for _, name := range f.Columns {
			p.sources = append(p.sources, source{find(fmt.Sprintf("features[%d].columns", i), name), f})
		}
	}
	if c.Target.Column != "" {
		p.target = find("target.column", c.Target.Column)
	}
	if c.Derive == nil {
		for _, name := range c.Together {
			p.kin = append(p.kin, find("group", name))
		}
	}
	if d := c.Derive; d != nil {
		for _, name := range d.Group {
			p.group = append(p.group, find("derive.group", name))
		}
		if d.Order != "" {
			p.order = find("derive.order", d.Order)
		}
	}
	for _, f := range feeds {
		var at []int
		for _, w := range f.where {
			at = append(at, find(w.key, w.column))
		}
		p.where = append(p.where, at)
	}
	return p, errors.Join(errs...)
}

func (l *loader) read(name string, feeds ...feed) (err error) {
	t, err := openTable(l.open, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	p, err := l.layout(t, feeds)
	if err != nil {
		return err
	}
	for {
		if ok, err := t.next(); !ok || err != nil {
			return err
		}
		for i, f := range feeds {
			if !t.matches(f.where, p.where[i]) {
				continue
			}
			if err := l.row(t, &p, f.to); err != nil {
				return err
			}
		}
	}
}

// row turns the current row of t into numbers and keeps them.
func (l *loader) row(t *table, p *layout, to *sink) error {
	dst, y := &to.rows.X, &to.rows.Y
	if len(p.group) > 0 {
		s, err := l.series(t, p, to)
		if err != nil {
			return err
		}
		dst, y = &s.x, &s.y
	} else {
		to.rows.N++
		l.noteGroup(t, p, to)
	}
	before := len(*dst)
	for _, s := range p.sources {
		v, err := t.number(s.column)
		if err != nil {
			return err
		}
		w := s.transform(v)
		if math.IsNaN(w) && !math.IsNaN(v) {
			return fmt.Errorf("tabular: %s: log1p of %v", t.at(s.column), v)
		}
		*dst = append(*dst, w)
		if s.MissingFlag {
			flag := 0.0
			if math.IsNaN(v) {
				flag = 1
			}
			*dst = append(*dst, flag)
		}
	}
	if l.values += len(*dst) - before; l.values > MaxValues {
		return fmt.Errorf("tabular: %s: more than %d values", t.at(0), MaxValues)
	}
	if p.target < 0 {
		return nil
	}
	v, err := l.targetOf(t, p.target)
	*y = append(*y, v)
	return err
}

func (l *loader) targetOf(t *table, column int) (float64, error) {
	if l.classes != nil {
		cell := strings.TrimSpace(t.row[column])
		if i, ok := l.classes.index(cell); ok {
			return float64(i), nil
		}
		if text, ok := l.classes.sameNumber(cell); ok {
			return 0, fmt.Errorf("tabular: %s: %.40q is none of target.classes, where it is %.40q: classes are compared letter by letter", t.at(column), cell, text)
		}
		return 0, fmt.Errorf("tabular: %s: %.40q is none of target.classes", t.at(column), cell)
	}
	v, err := t.number(column)
	if err == nil && math.IsNaN(v) {
		err = fmt.Errorf("tabular: %s: the target is missing", t.at(column))
	}
	return v, err
}

// transform clips, then takes the logarithm asked for. Missing stays missing.
func (f *Feature) transform(v float64) float64 {
	if f.Clip > 0 {
		v = min(max(v, -f.Clip), f.Clip)
	}
	switch {
	case f.SLog > 0:
		v = math.Copysign(math.Log10(1+math.Abs(v)/f.SLog), v)
	case f.Log1p && v <= -1:
		v = math.NaN()
	case f.Log1p:
		v = math.Log1p(v)
	}
	return v
}

// finish derives what has to be derived and describes the result.
func (l *loader) finish() (*Data, error) {
	c := l.config
	d := &Data{ZClip: c.ZClip, unit: unit{offset: c.Target.Offset, scale: cmp.Or(c.Target.Scale, 1)}}
	if r := c.Target.RowsLeft; r != nil {
		d.unit = unit{scale: r.Cap, limit: true}
	}
	for _, v := range c.Target.Classes {
		d.Classes = append(d.Classes, fmt.Sprint(v))
	}
	var columns []string
	for _, f := range c.Features {
		for _, name := range f.Columns {
			columns = append(columns, name)
			if f.MissingFlag {
				columns = append(columns, name+".missing")
			}
		}
	}
	d.Features = columns
	if c.Derive != nil {
		if err := l.derive(d, columns); err != nil {
			return nil, err
		}
	}
	d.Train, d.Test = l.train.rows, l.test.rows
	return d, nil
}

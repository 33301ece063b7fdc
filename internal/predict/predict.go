// Package predict applies a model to the rows of a table and writes them out again with
// what the model says of each. Start with New. It never changes the rows.
package predict

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/table"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// chunk is how many rows go through the model at once.
const chunk = 1024

// Column is one of what is written.
type Column struct {
	Name   string
	Number bool
	Whole  bool // a number whose text has every digit
}

// Value is one cell: its text as it was read, or a number where there is none. An
// empty text and NaN are no value.
type Value struct {
	Text   string
	Number float64
}

// Writer takes rows in the order of the columns that it was made for.
type Writer interface {
	Write(row []Value) error
	Close() error
}

// Predictor reads one table.
type Predictor struct {
	model  *tabular.Predictor
	table  *table.Table
	only   bool
	inputs []input
	group  []int    // of a window
	order  int      // of a window; -1: as they come
	types  []Column // of the table
	plain  []bool   // by feature: that it has a mean, and is no share of rows
	seen   Seen
	class  int     // of two, that a row is of from a probability on
	from   float64 // 0: the likeliest class it is
}

// input is where an input of the model comes from.
type input struct {
	column  int
	from    tabular.Column
	convert pipeline.Conversion
}

// FarSD is how many standard deviations from the mean a value counts as far outside of
// what the model was trained on.
const FarSD = 6

// Far is a feature with such values.
type Far struct {
	Rows int
	Most float64 // the deviation of the farthest, with its sign
}

// Seen counts what became of the rows.
type Seen struct {
	Rows, Without int            // all, and those without a prediction: no window is behind them yet
	Empty         int            // rows of which every input is missing
	Missing       []int          // by input
	Far           []Far          // by feature
	Unknown       []string       // by input: a text that is none of its values
	Classes       map[string]int // rows by what was predicted
}

// New finds the inputs of the model among the columns of t. from says of which column an
// input is taken, where that has another name, unit or texts; only leaves out the columns
// of the table.
func New(m *tabular.Predictor, t *table.Table, from map[string]tabular.Column, only bool) (*Predictor, error) {
	c := m.Pipeline().Contract()
	p := &Predictor{model: m, table: t, only: only, order: -1, types: make([]Column, len(t.Names()))}
	p.seen = Seen{Missing: make([]int, len(c.Inputs)), Unknown: make([]string, len(c.Inputs)), Classes: map[string]int{}}
	p.plain = m.Pipeline().Indicators()
	p.seen.Far = make([]Far, len(p.plain))
	for j, share := range p.plain {
		p.plain[j] = !share
	}
	for i, name := range t.Names() {
		p.types[i] = Column{name, t.Kind(i) != table.KindText, t.Kind(i) == table.KindWhole}
	}
	var errs []error
	find := func(name string) int {
		column, key := name, "an input of the model: --column "+name+"=COLUMN takes it from another"
		if other := from[name].Name; other != "" {
			column, key = other, "--column "+name
		}
		i, err := t.Column(key, column)
		errs = append(errs, err)
		return i
	}
	for _, in := range c.Inputs {
		i := find(in.Name)
		convert, err := conversion(in, from[in.Name].Unit)
		errs = append(errs, err)
		p.inputs = append(p.inputs, input{i, from[in.Name], convert})
		if i < len(p.types) && in.Values == nil {
			p.types[i].Number = true
		}
	}
	if w := c.Window; w != nil {
		for _, name := range w.Group {
			p.group = append(p.group, find(name))
		}
		if w.Order != "" {
			p.order = find(w.Order)
		}
	}
	return p, errors.Join(errs...)
}

// conversion is from the unit of the rows to that of the model.
func conversion(in pipeline.Input, unit string) (pipeline.Conversion, error) {
	switch {
	case unit == "":
		return pipeline.NewConversion("", "")
	case in.Values != nil:
		return pipeline.Conversion{}, fmt.Errorf("--unit %s=%s: its cells are texts, which have no unit", in.Name, unit)
	case in.Unit == "":
		return pipeline.Conversion{}, fmt.Errorf("--unit %s=%s: the model does not say in which unit it reads %[1]s: no site has said it", in.Name, unit)
	}
	c, err := pipeline.NewConversion(unit, in.Unit)
	if err != nil {
		err = fmt.Errorf("--unit %s=%s: %w", in.Name, unit, err)
	}
	return c, err
}

// Decide has a row taken for a class, of two, from a probability on, in place of the
// likeliest class.
func (p *Predictor) Decide(class int, from float64) { p.class, p.from = class, from }

// best is the class that a row is taken for.
func (p *Predictor) best(said []float64) int {
	switch {
	case p.from == 0 || len(said) != 2 || p.contract().Net.Output == pipeline.OutputMargin:
		return slices.Index(said, slices.Max(said))
	case said[p.class] >= p.from:
		return p.class
	}
	return 1 - p.class
}

// Columns are those that are written: the columns of the table, then "predicted" and, of
// a classification, a number for each class. A name that the table has gets an
// underscore behind it.
func (p *Predictor) Columns() []Column {
	var out []Column
	taken := map[string]bool{}
	add := func(c Column) {
		for taken[c.Name] {
			c.Name += "_"
		}
		taken[c.Name] = true
		out = append(out, c)
	}
	if !p.only {
		for _, c := range p.types {
			add(c)
		}
	}
	c := p.contract()
	add(Column{Name: "predicted", Number: c.Target.Classes == nil})
	prefix := "p_"
	if c.Net.Output == pipeline.OutputMargin {
		prefix = "score_"
	}
	for _, class := range c.Target.Classes {
		add(Column{Name: prefix + class, Number: true})
	}
	return out
}

func (p *Predictor) contract() *pipeline.Contract { return p.model.Pipeline().Contract() }

// Run reads the table to its end and writes every row of it.
func (p *Predictor) Run(ctx context.Context, to Writer) (Seen, error) {
	run := p.stream
	if p.contract().Window != nil {
		run = p.windows
	}
	err := run(ctx, to)
	return p.seen, err
}

// stream predicts chunk by chunk.
func (p *Predictor) stream(ctx context.Context, to Writer) error {
	var x []float64
	var rows [][]Value
	for {
		row, ok, err := p.next()
		if err != nil {
			return err
		}
		if ok {
			if x, err = p.features(x); err != nil {
				return err
			}
			rows = append(rows, row)
		}
		if len(rows) == chunk || !ok {
			if err := ctx.Err(); err != nil {
				return err
			}
			p.measure(x)
			if err := p.write(to, rows, p.model.Predict(nil, x)); err != nil {
				return err
			}
			x, rows = x[:0], rows[:0]
		}
		if !ok {
			return nil
		}
	}
}

// next reads a row, and its cells if they are to be written.
func (p *Predictor) next() ([]Value, bool, error) {
	ok, err := p.table.Next()
	if !ok || err != nil {
		return nil, false, err
	}
	p.seen.Rows++
	if p.only {
		return nil, true, nil
	}
	row := make([]Value, len(p.types), len(p.types)+1+p.model.Width())
	for i := range row {
		row[i] = Value{string([]byte(p.table.Text(i))), math.NaN()}
		if p.types[i].Number && row[i].Text != "" {
			if row[i].Number, err = p.table.Number(i); err != nil {
				return nil, false, err
			}
		}
	}
	return row, true, nil
}

// features appends what becomes of the current row.
func (p *Predictor) features(dst []float64) ([]float64, error) {
	pipe := p.model.Pipeline()
	values := make([]float64, len(p.inputs))
	empty := true
	for i := range p.inputs {
		v, err := p.input(i)
		if err != nil {
			return dst, err
		}
		values[i] = v
		if math.IsNaN(v) {
			p.seen.Missing[i]++
		} else {
			empty = false
		}
	}
	if empty {
		p.seen.Empty++
	}
	out, err := pipe.Row(dst, values)
	if value, ok := errors.AsType[*pipeline.ValueError](err); ok {
		return dst, fmt.Errorf("%s: %w", p.table.At(p.inputs[value.Input].column), err)
	}
	return out, err
}

func (p *Predictor) input(i int) (float64, error) {
	in := &p.inputs[i]
	if p.contract().Inputs[i].Values == nil {
		v, err := p.table.Measured(in.column)
		return in.convert.Apply(v), err
	}
	text := in.from.Text(p.table.Text(in.column))
	v := p.model.Pipeline().Value(i, text)
	if math.IsNaN(v) && p.seen.Unknown[i] == "" && !p.table.Missing(text) {
		p.seen.Unknown[i] = string([]byte(text))
	}
	return v, nil
}

// measure counts the features of rows that lie far outside of what the model was trained on.
func (p *Predictor) measure(x []float64) {
	for i, v := range x {
		j := i % len(p.plain)
		if d := p.model.Deviation(j, v); p.plain[j] && math.Abs(d) > FarSD {
			f := &p.seen.Far[j]
			f.Rows++
			if math.Abs(d) > math.Abs(f.Most) {
				f.Most = d
			}
		}
	}
}

// write adds to rows what the model says of each, Width numbers a row, and writes them.
func (p *Predictor) write(to Writer, rows [][]Value, said []float64) error {
	n := p.model.Width()
	for i, row := range rows {
		if err := to.Write(p.result(row, said[i*n:(i+1)*n])); err != nil {
			return err
		}
	}
	return nil
}

// result appends a prediction to a row; NaN is none.
func (p *Predictor) result(row []Value, said []float64) []Value {
	classes := p.contract().Target.Classes
	switch {
	case math.IsNaN(said[0]):
		p.seen.Without++
		row = append(row, Value{"", math.NaN()})
	case classes == nil:
		return append(row, Value{"", said[0]})
	default:
		best := classes[p.best(said)]
		p.seen.Classes[best]++
		row = append(row, Value{best, math.NaN()})
	}
	if classes != nil {
		for _, v := range said {
			row = append(row, Value{"", v})
		}
	}
	return row
}

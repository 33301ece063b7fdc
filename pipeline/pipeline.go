package pipeline

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// MaxFeatures bounds what becomes of the inputs, windows included.
const MaxFeatures = 1 << 17

// Pipeline is a compiled [Contract]: rows of inputs in, what the model reads out.
// It has no state, and several goroutines may use it.
type Pipeline struct {
	contract Contract
	steps    []step
	values   []map[string]int // by input: the position of a text; nil for a number
	stats    []stat           // none without a window
	names    []string
	width    int // numbers of a row, before windows
}

// step makes the features of one input.
type step struct {
	Feature
	input  int
	values int // features of it: one a value; 0 for a number
}

// ValueError is a value that cannot become a feature.
type ValueError struct {
	Input   int // position in Contract.Inputs
	Problem string
}

func (e *ValueError) Error() string { return e.Problem }

// New compiles a contract. Errors wrap [ErrContract].
func New(c Contract) (*Pipeline, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	p := &Pipeline{contract: c, values: make([]map[string]int, len(c.Inputs))}
	at := make(map[string]int, len(c.Inputs))
	for i, in := range c.Inputs {
		at[in.Name] = i
		if in.Values != nil {
			p.values[i] = make(map[string]int, len(in.Values))
			for j, v := range in.Values {
				p.values[i][v] = j
			}
		}
	}
	for _, f := range c.features() {
		i := at[f.Of]
		p.steps = append(p.steps, step{f, i, len(c.Inputs[i].Values)})
		if p.width += p.steps[len(p.steps)-1].width(); p.width > MaxFeatures {
			return nil, bad("features", "want at most %d", MaxFeatures)
		}
	}
	p.names = p.columns()
	if w := c.Window; w != nil {
		if len(w.Stats)*p.width > MaxFeatures {
			return nil, bad("window.stats", "%d features of %d columns, want at most %d", len(w.Stats)*p.width, p.width, MaxFeatures)
		}
		columns := p.names
		p.names = nil
		for _, name := range w.Stats {
			s, _ := parseStat(name, w.Rows) // Validate has read it
			p.stats = append(p.stats, s)
			for _, column := range columns {
				p.names = append(p.names, column+"."+name)
			}
		}
	}
	return p, nil
}

// features are those of a contract that lists none: every input as it is.
func (c *Contract) features() []Feature {
	if len(c.Features) > 0 {
		return c.Features
	}
	out := make([]Feature, len(c.Inputs))
	for i, in := range c.Inputs {
		out[i].Of = in.Name
	}
	return out
}

// columns names the numbers of a row, before windows.
func (p *Pipeline) columns() (names []string) {
	for _, s := range p.steps {
		if s.values == 0 {
			names = append(names, s.Of)
		}
		for _, v := range p.contract.Inputs[s.input].Values {
			names = append(names, s.Of+"="+v)
		}
		if s.MissingFlag {
			names = append(names, s.Of+".missing")
		}
	}
	return names
}

func (s step) width() int {
	n := max(s.values, 1)
	if s.MissingFlag {
		n++
	}
	return n
}

// Contract is the one that was compiled. It is not to be changed.
func (p *Pipeline) Contract() *Contract { return &p.contract }

// Features names the model's inputs, in order: that of a column, column=value for
// a category, column.missing for a flag, and behind it .mean and the like of a window.
func (p *Pipeline) Features() []string { return p.names }

// Indicators report which features are 1 or 0, and shares of rows in windows: a value of
// a category, or that a value is missing.
func (p *Pipeline) Indicators() []bool {
	var row []bool
	for _, s := range p.steps {
		for range s.width() {
			row = append(row, s.values > 0)
		}
		if s.MissingFlag {
			row[len(row)-1] = true
		}
	}
	if len(p.stats) == 0 {
		return row
	}
	out := make([]bool, 0, len(p.names))
	for range p.stats {
		out = append(out, row...)
	}
	return out
}

// Width is how many numbers Row makes: the features, or what a window is over.
func (p *Pipeline) Width() int { return p.width }

// Value is the number that stands for a text of input i in a row: its position
// among the input's values, NaN (missing) if it is none of them.
func (p *Pipeline) Value(i int, text string) float64 {
	if at, ok := p.values[i][text]; ok {
		return float64(at)
	}
	return math.NaN()
}

// Row appends to dst what becomes of a row: a number for each input, NaN where it is
// missing, the number of its text (see Value) for a category. An error is a *ValueError.
func (p *Pipeline) Row(dst, inputs []float64) ([]float64, error) {
	if len(inputs) != len(p.contract.Inputs) {
		return dst, fmt.Errorf("pipeline: a row of %d values, want %d", len(inputs), len(p.contract.Inputs))
	}
	for i := range p.steps {
		s := &p.steps[i]
		v := inputs[s.input]
		if s.values > 0 {
			dst = s.oneHot(dst, v)
		} else {
			w := s.transform(v)
			if math.IsNaN(w) && !math.IsNaN(v) {
				return dst, &ValueError{s.input, fmt.Sprintf("log1p of %v", v)}
			}
			dst = append(dst, w)
		}
		if s.MissingFlag {
			flag := 0.0
			if math.IsNaN(v) {
				flag = 1
			}
			dst = append(dst, flag)
		}
	}
	return dst, nil
}

// oneHot appends 1 for the value that the row has and 0 for the others; all of
// them are missing where it is.
func (s *step) oneHot(dst []float64, v float64) []float64 {
	for j := range s.values {
		switch {
		case math.IsNaN(v):
			dst = append(dst, v)
		case j == int(v):
			dst = append(dst, 1)
		default:
			dst = append(dst, 0)
		}
	}
	return dst
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

// Output is what the model is to give for a target y in its own unit.
func (p *Pipeline) Output(y float64) float64 {
	t := &p.contract.Target
	return (y - t.Offset) / t.scale()
}

// Target is the target, in its own unit, that an output of the model stands for.
func (p *Pipeline) Target(output float64) float64 {
	t := &p.contract.Target
	if t.RowsLeft > 0 {
		output = min(max(output, 0), 1)
	}
	return t.Offset + t.scale()*output
}

func (t *Target) scale() float64 { return cmp.Or(t.RowsLeft, t.Scale, 1) }

// Outputs is how many numbers a model of the contract gives for a row, as its Net
// says: one a class, or one.
func (c *Contract) Outputs() int {
	if c.Target.Classes == nil || c.Net.Output == OutputLogistic || c.Net.Output == OutputMargin && len(c.Target.Classes) == 2 {
		return 1
	}
	return len(c.Target.Classes)
}

// Equal reports whether two contracts say the same; nil, not known, equals nil only.
func (c *Contract) Equal(d *Contract) bool {
	return c == d || c != nil && d != nil && slices.Equal(c.JSON(), d.JSON())
}

package tabular

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/fedmq/fedmq/pipeline"
)

// Load reads the rows that c describes. Files are read as a stream; only the
// values of rows and columns in use are kept, at most MaxValues. Errors name
// file, line and column, or are *KeyError.
func Load(from Files, c Config) (*Data, error) {
	contract, err := c.Contract()
	if err != nil {
		return nil, err
	}
	pipe, err := pipeline.New(*contract)
	if err != nil {
		return nil, fmt.Errorf("tabular: %w", err)
	}
	pick, err := c.selections()
	if err != nil {
		return nil, err
	}
	var files []File
	began := time.Now()
	l := loader{config: &c, pipe: pipe, files: track(from, &files), train: sink{}, test: sink{test: true}, about: map[string]string{}}
	if l.classes, err = classIndex(c.Target.Classes); err != nil {
		return nil, err
	}
	if l.columns, err = c.columns(); err != nil {
		return nil, err
	}
	l.seen = spreads(contract)
	if err := l.readAll(pick); err != nil {
		return nil, err
	}
	odd, err := l.uncountedNotes()
	if err != nil {
		return nil, err
	}
	d, err := l.finish()
	if err != nil {
		return nil, err
	}
	for i := range files {
		files[i].About = l.about[files[i].Name]
	}
	d.Notes, d.Files, d.Read, d.found = slices.Concat(pick.notes(), l.notes, l.without.notes(c.Target.Column), l.unknownNotes(), odd), files, began, l.found
	d.seen = l.seen
	if d.contract() == nil {
		d.Notes = append(d.Notes, fmt.Sprintf("features: the names of %d inputs are too long to be told to the aggregator: only their number is compared", len(contract.Inputs)))
	}
	return d, nil
}

// readAll reads the files of training and test rows.
func (l *loader) readAll(pick selection) error {
	c := l.config
	train, err := l.expand("train", c.Train)
	if err != nil {
		return err
	}
	if c.Test == "" {
		feeds := []feed{{to: &l.train, where: pick.train}}
		if s := c.Split; s != nil {
			feeds = append(feeds, feed{to: &l.test, where: pick.test})
			if s.Share > 0 {
				l.share = newShare(s.Share)
			}
		}
		return l.read(train, feeds...)
	}
	test, err := l.expand("test", c.Test)
	if err != nil {
		return err
	}
	for _, name := range test {
		switch {
		case !slices.Contains(train, name):
		case len(train) > 1:
			return bad("train", "%s matches %s too, a file of test: a model would be judged on rows that it has learned", c.Train, name)
		case c.TestWhere == nil:
			l.notes = append(l.notes, fmt.Sprintf("test: %s is train too: the model is judged on rows that it has learned; want another file, test_where, or split in place of test", name))
		}
	}
	if err := l.read(train, feed{to: &l.train, where: pick.train}); err != nil {
		return err
	}
	return l.read(test, feed{to: &l.test, where: pick.test})
}

// loader holds what a Load has read.
type loader struct {
	config      *Config
	pipe        *pipeline.Pipeline
	inputs      []float64 // of the current row
	files       Files
	classes     *values
	columns     map[string]Column
	train, test sink
	share       *share         // nil: files or conditions tell test rows
	values      int            // kept so far
	groups      map[string]int // of Together, numbered as they come
	found       []found
	about       map[string]string // how each file is written
	notes       []string
	unknown     map[string]map[string]int // texts that are no categories, by column
	seen        []Spread                  // of the inputs, as they are read
	without     without
	uncounted   []uncounted // by input; nil: none
}

// without counts rows that have no target.
type without struct {
	rows, windows int
	first         string // where the first is
}

// notes say that they were left out.
func (w without) notes(column string) (notes []string) {
	if w.rows > 0 {
		notes = append(notes, fmt.Sprintf("target: %d rows have no %s, and are left out; the first is at %s", w.rows, column, w.first))
	}
	if w.windows > 0 {
		notes = append(notes, fmt.Sprintf("target: %d windows end with a row that has no %s, and are left out", w.windows, column))
	}
	return notes
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
	inputs []int // by input of the contract
	target int   // -1 if no column
	group  []int
	kin    []int   // Together
	order  int     // -1 if none
	where  [][]int // by feed, by condition
}

func (l *loader) layout(t rows, feeds []feed) (layout, error) {
	c := l.config
	p := layout{target: -1, order: -1}
	var errs []error
	find := func(key, name string) int {
		file, keys := l.fileColumn(key, name)
		i, err := t.column(keys, file)
		errs = append(errs, err)
		return i
	}
	there := map[string]bool{}
	for i, f := range c.Features {
		for _, name := range f.Columns {
			if c.task == nil && !there[name] {
				there[name] = true
				p.inputs = append(p.inputs, find(fmt.Sprintf("features[%d].columns", i), name))
			}
		}
	}
	if c.task != nil {
		for _, in := range c.task.Inputs {
			p.inputs = append(p.inputs, find("an input of the task; columns: {"+in.Name+": COLUMN} if the file calls it otherwise", in.Name))
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

// read reads files one after the other.
func (l *loader) read(names []string, feeds ...feed) error {
	for _, name := range names {
		if err := l.readFile(name, feeds); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) readFile(name string, feeds []feed) (err error) {
	t, err := openTable(l.files, name, l.config.format())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	p, err := l.layout(t, feeds)
	if err != nil {
		return err
	}
	for {
		if ok, err := t.next(); !ok || err != nil {
			l.about[name] = t.About()
			for _, note := range t.Notes() {
				if !slices.Contains(l.notes, note) { // train and test may be one file
					l.notes = append(l.notes, note)
				}
			}
			return err
		}
		test := l.share != nil && l.share.test(t, slices.Concat(p.group, p.kin))
		for i, f := range feeds {
			if l.share != nil && f.to.test != test || !t.matches(f.where, p.where[i]) {
				continue
			}
			if err := l.row(t, &p, f.to); err != nil {
				return err
			}
		}
	}
}

// row turns the current row of t into numbers and keeps them.
func (l *loader) row(t rows, p *layout, to *sink) error {
	if l.pipe == nil {
		to.rows.N++ // nobody knows yet what is to be read
		return nil
	}
	target, err := l.targetOf(t, p.target)
	if err != nil {
		return err
	}
	dst, y := &to.rows.X, &to.rows.Y
	switch {
	case len(p.group) > 0: // a window has rows without a target in it too
		s, err := l.series(t, p, to)
		if err != nil {
			return err
		}
		dst, y = &s.x, &s.y
	case math.IsNaN(target):
		if l.without.rows++; l.without.rows == 1 {
			l.without.first = t.At(p.target)
		}
		return nil
	default:
		to.rows.N++
		l.noteGroup(t, p, to)
	}
	l.inputs = l.inputs[:0]
	for i, column := range p.inputs {
		v, err := l.input(t, i, column)
		if err != nil {
			if v, err = l.leaveOut(i, err); err != nil {
				return err
			}
		}
		l.inputs = append(l.inputs, v)
		l.seen[i].add(v)
	}
	if *dst, err = l.pipe.Row(*dst, l.inputs); err != nil {
		var value *pipeline.ValueError
		if errors.As(err, &value) {
			return fmt.Errorf("tabular: %s: %w", t.At(p.inputs[value.Input]), err)
		}
		return err
	}
	if l.values += l.pipe.Width(); l.values > MaxValues {
		return fmt.Errorf("tabular: %s: more than %d values", t.At(0), MaxValues)
	}
	if p.target >= 0 || l.config.Target.none {
		*y = append(*y, target) // 0 where there is none
	}
	return nil
}

// targetOf reads the target of the current row: NaN where it is missing, 0 where it is in
// no column.
func (l *loader) targetOf(t rows, column int) (float64, error) {
	name := l.config.Target.Column
	if column < 0 {
		return 0, nil
	}
	if l.classes == nil {
		return l.converted(t, name, column)
	}
	cell := l.columns[name].Text(t.Text(column))
	if i, ok := l.classes.index(cell); ok {
		return float64(i), nil
	}
	if t.Missing(cell) { // None is a word for a missing value, but not where it is a class
		return math.NaN(), nil
	}
	if text, ok := l.classes.sameNumber(cell); ok {
		return 0, fmt.Errorf("tabular: %s: %.40q is none of target.classes, where it is %.40q: classes are compared letter by letter; columns: {%s: {values: {%[2]q: %[3]q}}} makes them one",
			t.At(column), cell, text, name)
	}
	return 0, fmt.Errorf("tabular: %s: %.40q is none of target.classes; if it is one of them in other letters: columns: {%s: {values: {%[2]q: CLASS}}}; if it stands for a missing value: missing: [%[2]q]",
		t.At(column), cell, name)
}

// finish derives what has to be derived and describes the result.
func (l *loader) finish() (*Data, error) {
	d := &Data{Features: l.pipe.Features(), Classes: l.pipe.Contract().Target.Classes, pipe: l.pipe}
	if l.config.Derive != nil {
		if err := l.derive(); err != nil {
			return nil, err
		}
	}
	d.Train, d.Test = l.train.rows, l.test.rows
	if l.share != nil && d.Test.N == 0 {
		l.notes = append(l.notes, "split.share: no row is a test row: there are few that differ, and rows that are equal stay together")
	}
	return d, nil
}

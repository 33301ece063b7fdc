package tabular

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// values is a set of cell values: texts, and ranges of whole numbers.
type values struct {
	texts  map[string]int // to the position in the list given
	floats map[float64]string
	ranges []span
}

// span is a range of whole numbers, both included.
type span struct{ low, high *big.Rat }

func newValues() *values {
	return &values{texts: map[string]int{}, floats: map[float64]string{}}
}

// parseValues reads a scalar or a list of scalars of a config.
func parseValues(key string, v any) (*values, error) {
	set := newValues()
	if list, ok := v.([]any); ok {
		if len(list) == 0 {
			return nil, bad(key, "an empty list matches no row")
		}
		for i, e := range list {
			if err := set.add(fmt.Sprintf("%s[%d]", key, i), i, e); err != nil {
				return nil, err
			}
		}
		return set, nil
	}
	return set, set.add(key, 0, v)
}

func (s *values) add(key string, i int, v any) error {
	text, err := textOf(key, v)
	if err != nil {
		return err
	}
	s.put(text, i)
	r, ok, err := parseRange(key, text)
	if ok {
		s.ranges = append(s.ranges, r)
	}
	return err
}

// textOf is a value as a cell has it. A configuration file keeps the letters of
// its values; in Go a number stands for its shortest decimal text.
func textOf(key string, v any) (string, error) {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Float32, reflect.Float64:
		if math.IsNaN(r.Float()) {
			return "", bad(key, "NaN equals nothing")
		}
		return fmt.Sprint(v), nil
	case reflect.String, reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprint(v), nil
	case reflect.Invalid:
		return "", bad(key, "want a value")
	}
	return "", bad(key, "want a value or a list of values, not %T", v)
}

// rangeText is "1..20".
var rangeText = regexp.MustCompile(`^\s*([-+]?[0-9]{1,40})\s*\.\.\s*([-+]?[0-9]{1,40})\s*$`)

// parseRange reads "low..high", both whole numbers and included.
func parseRange(key, s string) (r span, ok bool, err error) {
	m := rangeText.FindStringSubmatch(s)
	if m == nil {
		return r, false, nil
	}
	r.low, _ = number(m[1])
	r.high, _ = number(m[2])
	if r.low.Cmp(r.high) > 0 {
		return r, false, bad(key, "the range %s is empty: its first number is the larger", s)
	}
	return r, true, nil
}

// decimalText bounds the exponent, and so what a number takes.
var decimalText = regexp.MustCompile(`^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,3})?$`)

// maxDigits is how long a cell may be that counts as a number.
const maxDigits = 400

// number is the exact value of a cell that is a decimal number.
func number(cell string) (*big.Rat, bool) {
	if len(cell) > maxDigits || !decimalText.MatchString(cell) {
		return nil, false
	}
	return new(big.Rat).SetString(cell)
}

func (s *values) put(text string, i int) {
	s.texts[text] = i
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		s.floats[f] = text
	}
}

// index returns the position of cell in the list given: letter by letter, or
// within a range as the whole number that it is.
func (s *values) index(cell string) (int, bool) {
	if i, ok := s.texts[cell]; ok {
		return i, true
	}
	if len(s.ranges) == 0 {
		return 0, false
	}
	v, ok := number(cell)
	if !ok || !v.IsInt() {
		return 0, false
	}
	for _, r := range s.ranges {
		if v.Cmp(r.low) >= 0 && v.Cmp(r.high) <= 0 {
			return 0, true
		}
	}
	return 0, false
}

// sameNumber returns the text of the set that is cell's number in other letters.
func (s *values) sameNumber(cell string) (string, bool) {
	f, err := strconv.ParseFloat(cell, 64)
	text, ok := s.floats[f]
	if err != nil || !ok || text == cell {
		return "", false
	}
	v, ok1 := number(cell)
	w, ok2 := number(text)
	return text, ok1 && ok2 && v.Cmp(w) == 0
}

// classIndex maps the values of a class column to outputs of the model.
func classIndex(classes []any) (*values, error) {
	if len(classes) == 0 {
		return nil, nil
	}
	set := newValues()
	for i, c := range classes {
		text, err := textOf(fmt.Sprintf("target.classes[%d]", i), c)
		if err != nil {
			return nil, err
		}
		set.put(text, i)
	}
	if len(set.texts) != len(classes) {
		return nil, bad("target.classes", "some class is there twice")
	}
	return set, nil
}

// condition keeps the rows whose cell in column is one of the values.
type condition struct {
	key, column string
	values      *values
	seen        *seen
}

// seen is what a condition has met: a cell that it kept, and one that it left
// out though it is the number of one of its values.
type seen struct {
	hit         bool
	met         map[int]bool // values, by their position
	cell, value string
}

// keeps reports whether a cell meets the condition.
func (c condition) keeps(cell string) bool {
	if i, ok := c.values.index(cell); ok {
		c.seen.hit, c.seen.met[i] = true, true
		return true
	}
	if c.seen.cell == "" {
		if text, ok := c.values.sameNumber(cell); ok {
			c.seen.cell, c.seen.value = strings.Clone(cell), text
		}
	}
	return false
}

// note says which rows a condition has left out for the letters of a number. 010
// and 10 are two codes where the file has both, 1 and 1.0 hardly.
func (c condition) note() string {
	s := c.seen
	if s.cell == "" || s.hit && !strings.ContainsAny(s.cell+s.value, ".eE+") {
		return ""
	}
	return fmt.Sprintf("%s: rows with %q are left out, since the value is %q: values are compared letter by letter; give both, or a range of numbers such as 1..20",
		c.key, s.cell, s.value)
}

// unmet says which texts of a condition no row has. A range counts as its first
// value, and what notes say of letters needs no second word.
func (c condition) unmet() string {
	if len(c.values.ranges) > 0 || c.note() != "" {
		return ""
	}
	var none []string
	for text, i := range c.values.texts {
		if !c.seen.met[i] {
			none = append(none, strconv.Quote(text))
		}
	}
	if len(none) == 0 {
		return ""
	}
	slices.Sort(none)
	return fmt.Sprintf("%s: no row has %s", c.key, strings.Join(none, " or "))
}

// selection is what the config says about the rows of each kind.
type selection struct {
	train, test []condition
}

func (c *Config) selections() (selection, error) {
	var s selection
	where, err := conditions("where", c.Where)
	if err != nil {
		return s, err
	}
	s.train, s.test = where, where
	if c.TestWhere != nil {
		if s.test, err = conditions("test_where", c.TestWhere); err != nil {
			return s, err
		}
	}
	if c.Split != nil && c.Split.Share == 0 {
		train, test := c.Split.Train, c.Split.Test
		if train == nil {
			train = "train"
		}
		if test == nil {
			test = "test"
		}
		a, err := parseValues("split.train", train)
		if err != nil {
			return s, err
		}
		b, err := parseValues("split.test", test)
		if err != nil {
			return s, err
		}
		for _, text := range slices.Sorted(maps.Keys(b.texts)) {
			if _, both := a.index(text); both {
				return s, bad("split", "%s is a value of both train and test: want each row in one of them", text)
			}
		}
		s.train = append(slices.Clip(where), newCondition("split.train", c.Split.Column, a))
		s.test = append(slices.Clip(where), newCondition("split.test", c.Split.Column, b))
	}
	return s, nil
}

func newCondition(key, column string, set *values) condition {
	return condition{key, column, set, &seen{met: map[int]bool{}}}
}

func conditions(key string, where map[string]any) ([]condition, error) {
	var out []condition
	for _, column := range slices.Sorted(maps.Keys(where)) {
		set, err := parseValues(key+"."+column, where[column])
		if err != nil {
			return nil, err
		}
		out = append(out, newCondition(key+"."+column, column, set))
	}
	return out, nil
}

// notes of the conditions, each once: training and test rows share some.
func (s selection) notes() (out []string) {
	for _, c := range slices.Concat(s.train, s.test) {
		for _, n := range []string{c.note(), c.unmet()} {
			if n != "" && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

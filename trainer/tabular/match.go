package tabular

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// values is a set of cell values: texts, numbers and ranges of integers.
type values struct {
	texts   map[string]int // to the position in the list given
	numbers map[float64]int
	ranges  [][2]float64
}

// parseValues reads a scalar or a list of scalars of a config.
func parseValues(key string, v any) (*values, error) {
	set := &values{texts: map[string]int{}, numbers: map[float64]int{}}
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
	if v == nil {
		return bad(key, "want a value")
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.String:
		s.texts[r.String()] = i
		if lo, hi, ok := parseRange(r.String()); ok {
			s.ranges = append(s.ranges, [2]float64{lo, hi})
		}
	case reflect.Bool:
		s.texts[strconv.FormatBool(r.Bool())] = i
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.numbers[float64(r.Int())] = i
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.numbers[float64(r.Uint())] = i
	case reflect.Float32, reflect.Float64:
		if f := r.Float(); !math.IsNaN(f) {
			s.numbers[f] = i
			return nil
		}
		return bad(key, "NaN equals nothing")
	default:
		return bad(key, "want a value or a list of values, not %T", v)
	}
	return nil
}

// parseRange reads "lo..hi", both integers and included.
func parseRange(s string) (lo, hi float64, ok bool) {
	a, b, found := strings.Cut(s, "..")
	l, err1 := strconv.ParseInt(strings.TrimSpace(a), 10, 52)
	h, err2 := strconv.ParseInt(strings.TrimSpace(b), 10, 52)
	return float64(l), float64(h), found && err1 == nil && err2 == nil && l <= h
}

// index returns the position of cell in the list given.
func (s *values) index(cell string) (int, bool) {
	if i, ok := s.texts[cell]; ok {
		return i, true
	}
	if len(s.numbers) == 0 && len(s.ranges) == 0 {
		return 0, false
	}
	f, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		return 0, false
	}
	if i, ok := s.numbers[f]; ok {
		return i, true
	}
	for _, r := range s.ranges {
		if f >= r[0] && f <= r[1] && f == math.Trunc(f) {
			return 0, true
		}
	}
	return 0, false
}

func (s *values) has(cell string) bool { _, ok := s.index(cell); return ok }

// classIndex maps the values of a class column to outputs of the model.
func classIndex(classes []any) (*values, error) {
	if len(classes) == 0 {
		return nil, nil
	}
	set, err := parseValues("target.classes", classes)
	if err != nil {
		return nil, err
	}
	set.ranges = nil
	if len(set.texts)+len(set.numbers) != len(classes) {
		return nil, bad("target.classes", "some class is there twice")
	}
	return set, nil
}

// condition keeps the rows whose cell in column is one of the values.
type condition struct {
	key, column string
	values      *values
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
	if c.Split != nil {
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
		s.train = append(slices.Clip(where), condition{"split.column", c.Split.Column, a})
		s.test = append(slices.Clip(where), condition{"split.column", c.Split.Column, b})
	}
	return s, nil
}

func conditions(key string, where map[string]any) ([]condition, error) {
	var out []condition
	for _, column := range slices.Sorted(maps.Keys(where)) {
		set, err := parseValues(key+"."+column, where[column])
		if err != nil {
			return nil, err
		}
		out = append(out, condition{key + "." + column, column, set})
	}
	return out, nil
}

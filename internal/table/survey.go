package table

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// MaxNumber is the largest value of a cell that is worked with: moments and losses take its
// square.
const MaxNumber = 1e100

// MaxTexts of a column are told apart by a Survey.
const MaxTexts = 1000

// Survey is what the files of one site have in them.
type Survey struct {
	Files   []string
	Format  Format // what is the same in all of them and not plain
	Rows    int
	Columns []Column // with a name that is there once in every file
	Notes   []string
	Twice   map[string]string // where a name is there twice in a file
}

// Column is what one column has in its cells.
type Column struct {
	Name string
	// Missing, Numbers, Booleans, Times and those that Texts counts are all rows.
	Missing, Numbers, Booleans, Times int
	Texts                             map[string]int // that are none of these; at most MaxTexts of them
	Values                            map[string]int // the letters of every cell that is not missing; at most MaxTexts of them
	Whole                             int            // of Numbers
	OtherMark                         int            // of Numbers: with the decimal mark that the files do not have
	Unique                            bool           // no value is there twice, as far as Values goes
	Rising                            bool           // numbers, each above the one before
	Min, Max, Mean, SD                float64        // of Numbers
	Text, Time, Other                 string         // the first cell of Texts, Times and OtherMark, with its place
	All                               []float64      // Numbers, where they are kept

	commaAt, dotAt        string // the first cell
	comma, dot, thousands int
	last, m2              float64
	beyond                bool // more texts than are told apart
	keep                  bool // All
}

// Many reports that there are more texts than Texts has.
func (c *Column) Many() bool { return c.beyond }

// Column returns the column with a name.
func (s *Survey) Column(name string) *Column {
	i := slices.IndexFunc(s.Columns, func(c Column) bool { return c.Name == Name(name) })
	if i < 0 {
		return nil
	}
	return &s.Columns[i]
}

// Look reads all files that pattern stands for and says what is in them. What f
// leaves out is found. The numbers of the columns named in keep are kept.
func Look(files Files, pattern string, f Format, keep ...string) (*Survey, error) {
	names, err := Expand(files, pattern)
	if err != nil {
		return nil, err
	}
	s := &Survey{Files: names, Twice: map[string]string{}}
	seen := map[string]int{} // in so many files
	for i, name := range names {
		t, err := Open(files, name, f)
		if err != nil {
			return nil, err
		}
		err = s.add(t, seen, keep)
		if i == 0 {
			s.Format = t.Format()
		} else {
			s.Format = s.Format.both(t.Format())
		}
		s.Notes = append(s.Notes, t.Notes()...)
		if closed := t.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return nil, err
		}
	}
	s.Columns = slices.DeleteFunc(s.Columns, func(c Column) bool { return seen[c.Name] != len(names) })
	return s, s.finish(f)
}

// both is what two formats agree in.
func (f Format) both(g Format) Format {
	if f.Separator != g.Separator {
		f.Separator = ""
	}
	if f.Encoding != g.Encoding {
		f.Encoding = ""
	}
	if f.Comment != g.Comment {
		f.Comment = ""
	}
	return f
}

// add counts the cells of one file.
func (s *Survey) add(t *Table, seen map[string]int, keep []string) error {
	at := make([]int, len(t.names)) // of Columns; -1: has no name of its own
	for i, name := range t.names {
		at[i] = -1
		if first := slices.Index(t.names, name); name != "" && first < i {
			s.Twice[name] = fmt.Sprintf("it stands twice in %s, as columns %d and %d", t.name, first+1, i+1)
		}
		if name == "" || countOf(t.names, name) > 1 {
			continue
		}
		seen[name]++
		if at[i] = slices.IndexFunc(s.Columns, func(c Column) bool { return c.Name == name }); at[i] < 0 {
			at[i] = len(s.Columns)
			s.Columns = append(s.Columns, Column{Name: name, Unique: true, Rising: true, Texts: map[string]int{}, Values: map[string]int{}, keep: slices.Contains(keep, name)})
		}
	}
	for {
		ok, err := t.Next()
		if !ok || err != nil {
			return err
		}
		s.Rows++
		for i, c := range at {
			if c >= 0 {
				s.Columns[c].take(t, i)
			}
		}
	}
}

func countOf(list []string, s string) (n int) {
	for _, v := range list {
		if v == s {
			n++
		}
	}
	return n
}

// place notes a cell if it is the first of its kind.
func (t *Table) place(first *string, i int) {
	if *first == "" {
		*first = fmt.Sprintf("%.40q at %s", t.Text(i), t.At(i))
	}
}

// take counts one cell.
func (c *Column) take(t *Table, i int) {
	cell := t.Text(i)
	if t.Missing(cell) {
		c.Missing++
		return
	}
	if n, there := c.Values[cell]; there {
		c.Values[cell], c.Unique = n+1, false
	} else if len(c.Values) < MaxTexts {
		c.Values[strings.Clone(cell)] = 1
	}
	text := strings.Replace(cell, "\u2212", "-", 1)
	if plain.MatchString(text) {
		c.takeNumber(t, i, text)
		return
	}
	c.Rising = false
	switch small := strings.ToLower(cell); {
	case small == "true" || small == "false":
		c.Booleans++
	case isTime(cell) || dateLike.MatchString(cell):
		c.Times++
		t.place(&c.Time, i)
	default:
		t.place(&c.Text, i)
		if _, there := c.Texts[cell]; there || len(c.Texts) < MaxTexts {
			c.Texts[strings.Clone(cell)]++
		} else {
			c.beyond = true
		}
	}
}

func (c *Column) takeNumber(t *Table, i int, text string) {
	mark := strings.IndexAny(text, ".,")
	switch {
	case mark < 0:
		c.Whole++
	case text[mark] == '.':
		c.dot++
		t.place(&c.dotAt, i)
	default:
		c.comma++
		t.place(&c.commaAt, i)
		if thousands.MatchString(text) {
			c.thousands++
		}
		text = strings.Replace(text, ",", ".", 1)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(v) > MaxNumber { // no number that anybody has measured
		t.place(&c.Text, i)
		c.Texts[strings.Clone(t.Text(i))]++
		return
	}
	if c.Numbers++; c.keep {
		c.All = append(c.All, v)
	}
	if c.Numbers == 1 {
		c.Min, c.Max = v, v
	} else if v <= c.last {
		c.Rising = false
	}
	c.last, c.Min, c.Max = v, min(c.Min, v), max(c.Max, v)
	d := v - c.Mean // Welford
	c.Mean += d / float64(c.Numbers)
	c.m2 += d * (v - c.Mean)
}

// finish decides which decimal mark the files have, and refuses what cannot be told.
func (s *Survey) finish(f Format) error {
	commas, dots := 0, 0 // columns
	var unclear *Column
	for i := range s.Columns {
		c := &s.Columns[i]
		if c.comma > 0 {
			commas++
			if c.comma == c.thousands {
				unclear = c
			}
		}
		if c.dot > 0 {
			dots++
		}
	}
	sure := slices.ContainsFunc(s.Columns, func(c Column) bool { return c.comma > c.thousands })
	s.Format.Decimal = f.Decimal
	switch {
	case f.Decimal != "" || commas == 0:
	case commas >= dots && (sure || s.Format.Separator == ";"):
		s.Format.Decimal = ","
	case !sure:
		return fmt.Errorf("column %q has cells such as %s, which may have a decimal comma or thousands: want %s for the first; the second is not read", unclear.Name, unclear.commaAt, f.key("decimal", ","))
	default:
		s.Format.Decimal = "."
	}
	for i := range s.Columns {
		c := &s.Columns[i]
		if c.OtherMark, c.Other = c.comma, c.commaAt; s.Format.Decimal == "," {
			c.OtherMark, c.Other = c.dot, c.dotAt
		}
		if c.Numbers > 0 {
			c.SD = math.Sqrt(c.m2 / float64(c.Numbers))
		}
	}
	if s.Format.Separator == "," {
		s.Format.Separator = ""
	}
	if s.Format.Separator == "\t" {
		s.Format.Separator = "tab"
	}
	return nil
}

// Package table reads tables as people have them: CSV files of Excel, of historians
// and of pandas, plain or gzip, in the encoding, with the separator and the decimal
// mark that they were written with, and Parquet files. Start with Open, or Expand
// where a name may be a pattern. What cannot be told for certain is refused with the
// key that helps; columns that nobody asks for never refuse a file. It never writes.
package table

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/fedmq/fedmq/internal/near"
)

// Format says how a file is written. What is left out is found in the file.
type Format struct {
	Separator string   // of cells: one character, or tab
	Decimal   string   // "." or ","
	Encoding  string   // such as utf-8, utf-16, windows-1252; a byte order mark has the last word
	Comment   string   // lines that begin with this character are passed over
	Missing   []string // further words for a missing value

	Numbers bool // columns are numbers alone: an error names no key for texts
	Flags   bool // errors name flags of a command, in place of keys of a file
}

// key writes a setting as the person who reads an error would; value "" leaves it out.
func (f Format) key(name, value string) string {
	switch {
	case f.Flags && value == "":
		return "--" + name
	case f.Flags:
		return fmt.Sprintf("--%s %q", name, value)
	case value == "":
		return name
	case name == "missing":
		return fmt.Sprintf("missing: [%q]", value)
	}
	return fmt.Sprintf("%s: %q", name, value)
}

// KeyError is a bad value of Format. Key is its name in a configuration file.
type KeyError struct{ Key, Problem string }

func (e *KeyError) Error() string { return e.Key + ": " + e.Problem }

// source is what a table is read from.
type source interface {
	header() []string
	next() error // io.EOF behind the last row
	cell(i int) string
	at(i int) string
	about() string
	notes() []string
	close() error
}

// Table is read row by row.
type Table struct {
	name   string
	source source
	names  []string
	column map[string]int // the first of a name
	reader cells
}

// Open opens a table and reads its header.
func Open(files Files, name string, f Format) (*Table, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	file, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	t := &Table{name: name, column: map[string]int{}, reader: newCells(f)}
	if t.source, err = openSource(file, name, f); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	switch s := t.source.(type) {
	case *csvSource:
		t.reader.separator = s.r.Comma
	case *parquetSource:
		t.reader.decimal = '.' // whatever CSV files beside it have
	}
	for i, n := range t.source.header() {
		n = Name(n)
		t.names = append(t.names, n)
		if _, twice := t.column[n]; !twice {
			t.column[n] = i
		}
	}
	return t, nil
}

// openSource finds out what a file is.
func openSource(file io.ReadCloser, name string, f Format) (source, error) {
	in := bufio.NewReader(file)
	if head, _ := in.Peek(len(parquetMagic)); string(head) == parquetMagic {
		return openParquet(in, file, name)
	}
	return openCSV(in, file, name, f)
}

// Name is a column's name as it is compared: without the space around it, and with
// one spelling of its umlauts.
func Name(s string) string { return norm.NFC.String(strings.TrimSpace(s)) }

// Close closes the file.
func (t *Table) Close() error { return t.source.close() }

// Next reads a row; false behind the last.
func (t *Table) Next() (bool, error) {
	switch err := t.source.next(); {
	case errors.Is(err, io.EOF):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

// Names are those of the columns, as they are compared; some may be empty, or there twice.
func (t *Table) Names() []string { return t.names }

// Column finds the column that key of a configuration names.
func (t *Table) Column(key, name string) (int, error) {
	name = Name(name)
	i, ok := t.column[name]
	if !ok {
		return 0, fmt.Errorf("%s: no column %q (%s); %s", t.name, name, key, t.meant(name))
	}
	if p, ok := t.source.(*parquetSource); ok && p.columns[i].unfit != "" {
		return 0, fmt.Errorf("%s: column %q (%s) %s", t.name, name, key, p.columns[i].unfit)
	}
	for j := i + 1; j < len(t.names); j++ {
		if t.names[j] == name {
			return 0, fmt.Errorf("%s: column %q (%s) is there twice, as columns %d and %d: give one of them another name in the file", t.name, name, key, i+1, j+1)
		}
	}
	return i, nil
}

// meant helps somebody who has named a column that is not there.
func (t *Table) meant(name string) string {
	var have []string
	for _, n := range t.names {
		if strings.EqualFold(n, name) {
			return fmt.Sprintf("did you mean %q?", n)
		}
		if n != "" {
			have = append(have, n)
		}
	}
	if best := near.Of(name, have); len(best) > 2 {
		return fmt.Sprintf("did you mean %q?", best)
	}
	more := ""
	if len(have) > maxNames {
		more = fmt.Sprintf(" and %d more", len(have)-maxNames)
		have = have[:maxNames]
	}
	said := fmt.Sprintf("the header has %.300q%s", have, more)
	if c, ok := t.source.(*csvSource); ok && len(t.names) == 1 {
		said += fmt.Sprintf(", cut at %s (%s)", separatorName(c.r.Comma), c.format.key("separator", ""))
	}
	return said
}

// maxNames of a header are shown.
const maxNames = 12

// Kind is what the file says of all cells of a column.
type Kind int8

// Kinds of columns. A CSV file says of none what it is.
const (
	KindText Kind = iota
	KindNumber
	KindWhole // numbers of up to 64 bits, with a sign
)

// Kind of column i.
func (t *Table) Kind(i int) Kind {
	if p, ok := t.source.(*parquetSource); ok {
		return p.columns[i].kind
	}
	return KindText
}

// Text is cell i of the current row without the space around it. It is good until Next.
func (t *Table) Text(i int) string { return strings.TrimSpace(t.source.cell(i)) }

// Missing reports whether a text stands for a missing value.
func (t *Table) Missing(text string) bool { return t.reader.missing(text) }

// Number is cell i of the current row; NaN if it is missing.
func (t *Table) Number(i int) (float64, error) {
	return t.reader.number(t.Text(i), func() string { return t.source.at(i) })
}

// Measured is Number, of a cell that is worked with: at most MaxNumber, with either sign.
func (t *Table) Measured(i int) (float64, error) {
	v, err := t.Number(i)
	if err == nil && math.Abs(v) > MaxNumber {
		return v, &CellError{t.At(i), fmt.Sprintf("%.40q is beyond ±%.0g: its square is not finite; if it stands for a missing value: %s", t.Text(i), MaxNumber, t.reader.format.key("missing", t.Text(i)))}
	}
	return v, err
}

// Order is cell i as what puts rows in order: a number, or the seconds since 1970
// of an ISO time; without an offset it counts as UTC.
func (t *Table) Order(i int) (float64, error) {
	return t.reader.order(t.Text(i), func() string { return t.source.at(i) })
}

// At says where cell i of the current row is: file:line:column.
func (t *Table) At(i int) string { return t.source.at(i) }

// About says how the file is written, as far as that is not plain: "semicolons,
// decimal commas, windows-1252".
func (t *Table) About() string {
	said := []string{t.source.about(), t.reader.about()}
	return strings.Join(slices.DeleteFunc(said, func(s string) bool { return s == "" }), ", ")
}

// Notes say what was left out so far, for a person.
func (t *Table) Notes() []string { return t.source.notes() }

// Format is how the file is written: what was found, for a configuration file.
func (t *Table) Format() Format {
	f := Format{Missing: t.reader.own}
	if c, ok := t.source.(*csvSource); ok {
		f.Separator, f.Encoding, f.Comment = string(c.r.Comma), c.text.name(), c.comment
	}
	if t.reader.decimal == ',' {
		f.Decimal = ","
	}
	return f
}

package tabular

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Opener opens a file named in a Config.
type Opener func(name string) (io.ReadCloser, error)

// Dir opens regular files relative to a directory on disk; absolute names as
// they are.
func Dir(dir string) Opener {
	return func(name string) (io.ReadCloser, error) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if err := regular(info); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return os.Open(name)
	}
}

// FS opens files of fsys.
func FS(fsys fs.FS) Opener {
	return func(name string) (io.ReadCloser, error) { return fsys.Open(path.Clean(name)) }
}

// maxLine bounds a line of a CSV file, in bytes.
const maxLine = 1 << 20

var errLine = fmt.Errorf("a line is longer than %d bytes", maxLine)

// table reads a CSV file row by row.
type table struct {
	name   string
	r      *csv.Reader
	header map[string]int
	row    []string
	closer io.Closer
	zipped bool
}

func openTable(open Opener, name string) (*table, error) {
	f, err := open(name)
	if err != nil {
		return nil, fmt.Errorf("tabular: %w", err)
	}
	t := &table{name: name, closer: f, header: map[string]int{}}
	if err := t.start(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return t, nil
}

// start finds out about gzip and a byte order mark, and reads the header.
func (t *table) start(f io.Reader) error {
	in := bufio.NewReader(f)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("tabular: %s: %w", t.name, cutShort(err))
		}
		in, t.zipped = bufio.NewReader(z), true
	}
	head, _ := in.Peek(headBytes) // what is shorter, or broken, the first row finds
	if what := foreign(head); what != "" {
		return fmt.Errorf("tabular: %s is %s", t.name, what)
	}
	if bom, _ := in.Peek(3); bytes.Equal(bom, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	t.r = csv.NewReader(&lineLimit{r: in})
	t.r.ReuseRecord = true
	t.r.TrimLeadingSpace = true
	switch ok, err := t.next(); {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("tabular: %s: empty, want a header line", t.name)
	}
	for i, name := range t.row {
		name = strings.TrimSpace(name)
		if _, twice := t.header[name]; twice {
			return fmt.Errorf("tabular: %s: column %q is there twice", t.at(i), name)
		}
		t.header[strings.Clone(name)] = i
	}
	return nil
}

func (t *table) close() error { return t.closer.Close() }

// next reads a row; false at the end.
func (t *table) next() (bool, error) {
	row, err := t.r.Read()
	t.row = row
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return false, nil
	case errors.As(err, &parse):
		return false, fmt.Errorf("tabular: %s:%d:%d: %w", t.name, parse.Line, parse.Column, parse.Err)
	case err != nil && t.zipped:
		return false, fmt.Errorf("tabular: %s: %w", t.name, cutShort(err))
	case err != nil:
		return false, fmt.Errorf("tabular: %s: %w", t.name, err)
	}
	return true, nil
}

// column finds the column that key of the config names.
func (t *table) column(key, name string) (int, error) {
	i, ok := t.header[name]
	if !ok {
		return 0, fmt.Errorf("tabular: %s: no column %q (%s)", t.name, name, key)
	}
	return i, nil
}

// at says where cell i of the current row is: file:line:column.
func (t *table) at(i int) string {
	line, column := t.r.FieldPos(i)
	return t.name + ":" + strconv.Itoa(line) + ":" + strconv.Itoa(column)
}

// number reads cell i of the current row; NaN if it is missing: empty, "NaN",
// "NA" or "null".
func (t *table) number(i int) (float64, error) {
	cell := strings.TrimSpace(t.row[i])
	if cell == "" {
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(cell, 64)
	if err == nil && !math.IsInf(v, 0) {
		return v, nil
	}
	if strings.EqualFold(cell, "na") || strings.EqualFold(cell, "null") {
		return math.NaN(), nil
	}
	return 0, fmt.Errorf("tabular: %s: %.40q is not a finite number", t.at(i), cell)
}

// matches reports whether the current row meets all conditions; columns holds
// the position of each.
func (t *table) matches(conditions []condition, columns []int) bool {
	for i, c := range conditions {
		if !c.keeps(strings.TrimSpace(t.row[columns[i]])) {
			return false
		}
	}
	return true
}

// lineLimit passes bytes on until a line gets too long to hold.
type lineLimit struct {
	r io.Reader
	n int // bytes since the last line break
}

func (l *lineLimit) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	first := bytes.IndexByte(p[:n], '\n')
	if first < 0 {
		l.n += n
		first = 0
	} else if l.n+first <= maxLine {
		l.n, first = n-1-bytes.LastIndexByte(p[:n], '\n'), 0
	}
	if l.n+first > maxLine {
		return 0, errLine
	}
	return n, err
}

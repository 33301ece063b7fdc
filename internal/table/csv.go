package table

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// sampleBytes are looked at to find out how a file is written.
const sampleBytes = 1 << 16

// csvSource reads a CSV file.
type csvSource struct {
	name    string
	format  Format // that was given
	r       *csv.Reader
	raw     *recorder
	text    *text
	before  int    // lines before the header
	comment string // that was given, or found before the header
	names   []string
	named   int // cells that the header names, at least
	row     []string
	line    int // of a row that was cut at separators; 0: package csv knows
	zipped  bool
	closer  io.Closer
	said    []string

	count    int
	labelled map[int]bool // columns that have had a word for a sum as a value
	held     []heldRow
}

func openCSV(in *bufio.Reader, file io.Closer, name string, f Format) (*csvSource, error) {
	s := &csvSource{name: name, format: f, closer: file, labelled: map[int]bool{}}
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, cutShort(err))
		}
		in, s.zipped = bufio.NewReader(z), true
	}
	head, _ := in.Peek(headBytes) // what is shorter, or broken, the first row finds
	if what := foreign(head, f.Encoding != ""); what != "" {
		return nil, fmt.Errorf("%s is %s", name, what)
	}
	decoded, text, err := decode(in, f.Encoding)
	if err != nil {
		return nil, err
	}
	s.text = text
	buffered := bufio.NewReaderSize(decoded, sampleBytes)
	head, _ = buffered.Peek(sampleBytes)
	var lines io.Reader = buffered
	if onlyCR(head) {
		head, lines = bytes.ReplaceAll(head, []byte("\r"), []byte("\n")), lineFeeds{buffered}
	}
	at := begin(string(head), f)
	_, _ = buffered.Discard(at.bytes)
	s.before, s.comment = at.lines, at.comment
	s.raw = &recorder{r: lines}
	s.r = csv.NewReader(s.raw)
	s.r.Comma, s.r.FieldsPerRecord, s.r.ReuseRecord = at.separator, -1, true
	s.r.TrimLeadingSpace = at.separator != '\t' && at.separator != ' '
	if f.Comment != "" {
		s.r.Comment = []rune(f.Comment)[0]
	}
	return s, s.start()
}

// start reads the header.
func (s *csvSource) start() error {
	switch err := s.read(); {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%s: empty, want a header line", s.name)
	case err != nil:
		return err
	}
	for i, n := range s.row {
		s.names = append(s.names, strings.Clone(n))
		if strings.TrimSpace(n) != "" {
			s.named = i + 1
		}
	}
	return nil
}

func (s *csvSource) header() []string { return s.names }

func (s *csvSource) cell(i int) string {
	if i >= len(s.row) { // of a column without a name
		return ""
	}
	return s.row[i]
}

func (s *csvSource) close() error { return s.closer.Close() }

func (s *csvSource) notes() []string { return s.said }

func (s *csvSource) about() string {
	var said []string
	if s.r.Comma != ',' {
		said = append(said, separatorName(s.r.Comma))
	}
	if e := s.text.name(); e != "" && e != "utf-8" {
		said = append(said, e)
	}
	return strings.Join(said, ", ")
}

// at says where cell i of the current row is.
func (s *csvSource) at(i int) string {
	if s.line > 0 {
		return s.name + ":" + strconv.Itoa(s.line)
	}
	line, column := s.r.FieldPos(min(i, len(s.row)-1))
	return s.name + ":" + strconv.Itoa(s.before+line) + ":" + strconv.Itoa(column)
}

func (s *csvSource) read() error {
	s.raw.begin(s.r.InputOffset())
	row, err := s.r.Read()
	s.row, s.line = row, 0
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.As(err, &parse):
		return s.mend(parse)
	case err != nil && s.zipped:
		return fmt.Errorf("%s: %w", s.name, cutShort(err))
	case err != nil:
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return s.fits()
}

// fits reports whether the row has the cells that the header names. Cells behind
// them are let by if they are empty, as a separator at the end of each row.
func (s *csvSource) fits() error {
	if s.names == nil || s.whole(s.row) {
		return nil
	}
	if s.halfWritten() {
		return io.EOF
	}
	line, _ := s.r.FieldPos(0)
	more := ""
	if strings.HasPrefix(s.row[0], "#") {
		more = "; if it is a comment: " + s.format.key("comment", "#")
	}
	return fmt.Errorf("%s:%d: %d cells, where the header has %d, separated by %s (%s)%s",
		s.name, s.before+line, len(s.row), len(s.names), separatorName(s.r.Comma), s.format.key("separator", ""), more)
}

func (s *csvSource) whole(row []string) bool {
	if len(row) < s.named {
		return false
	}
	for i := len(s.names); i < len(row); i++ {
		if strings.TrimSpace(row[i]) != "" {
			return false
		}
	}
	return true
}

// halfWritten reports, and notes, that the row has fewer cells than the header
// and is the last line, without an end: somebody is writing it.
func (s *csvSource) halfWritten() bool {
	raw := s.raw.until(s.r.InputOffset())
	line := raw[bytes.LastIndexByte(raw, '\n')+1:]
	if len(s.row) >= s.named || len(line) == 0 {
		return false
	}
	if len(s.row) > 0 {
		first, _ := s.r.FieldPos(0)
		if last, _ := s.r.FieldPos(len(s.row) - 1); first != last {
			return false // a row of several lines
		}
	}
	s.said = append(s.said, fmt.Sprintf("%s: the last line, %.40q, is not whole and was left out", s.name, line))
	return true
}

// mend makes a row of a line whose quotes are not those of CSV: an inch sign in a
// remark. It counts as what it is if it then has the cells that the header names.
func (s *csvSource) mend(e *csv.ParseError) error {
	raw := s.raw.until(s.r.InputOffset())
	line := bytes.TrimRight(raw, "\r\n")
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	if s.names != nil && e.StartLine == e.Line {
		s.line = s.before + e.Line
		lazy := csv.NewReader(bytes.NewReader(line))
		lazy.Comma, lazy.LazyQuotes, lazy.TrimLeadingSpace = s.r.Comma, true, s.r.TrimLeadingSpace
		if row, err := lazy.Read(); err == nil && s.whole(row) {
			s.row = row
			return nil
		}
		if row := strings.Split(string(line), string(s.r.Comma)); s.whole(row) {
			s.row = row
			return nil
		}
		if s.row = nil; s.halfWritten() {
			return io.EOF
		}
	}
	return fmt.Errorf("%s:%d:%d: %w: a quote that is open, or stands inside of a cell: want \"\" for one inside", s.name, s.before+e.Line, e.Column, e.Err)
}

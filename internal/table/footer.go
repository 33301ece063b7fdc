package table

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// footers are what people write beside the sums and means that they put below a table,
// in small letters.
var footers = wordSet("total", "totals", "grand total", "subtotal", "sum", "sums", "average", "mean",
	"summe", "summen", "gesamt", "gesamtsumme", "gesamtergebnis", "insgesamt", "mittelwert", "durchschnitt",
	"somme", "total général", "moyenne", "totale", "somma", "media", "suma", "promedio", "totaal", "gemiddelde", "razem", "średnia")

// minRows a table has before a line that can be a sum of them.
const minRows = 2

// heldRow is one that was read before it is known what it is.
type heldRow struct {
	cells []string
	line  int
}

// footer is the cell of the current row that says that it is a sum; -1 if none does. A
// column that has had such a word before has it as a value.
func (s *csvSource) footer() int {
	for i, cell := range s.row {
		if len(cell) < 3 || cell[0] < 'A' && cell[0] != ' ' || len(cell) > 24 { // most are numbers
			continue
		}
		if i < len(s.names) && !s.labelled[i] && footers[strings.ToLower(strings.Trim(cell, " \u00a0:.="))] {
			return i
		}
	}
	return -1
}

func (s *csvSource) blank() bool {
	return len(strings.TrimSpace(strings.Join(s.row, ""))) == 0
}

func (s *csvSource) hold() {
	line := s.line
	if line == 0 {
		line, _ = s.r.FieldPos(0)
		line += s.before
	}
	row := heldRow{line: line}
	for _, cell := range s.row {
		row.cells = append(row.cells, strings.Clone(cell))
	}
	s.held = append(s.held, row)
}

// next reads a row. Sums and means below the last row are left out, and noted.
func (s *csvSource) next() error {
	if len(s.held) > 0 {
		s.row, s.line, s.held = s.held[0].cells, s.held[0].line, s.held[1:]
		return nil
	}
	if err := s.read(); err != nil {
		return err
	}
	if s.count++; s.count <= minRows {
		for i := s.footer(); i >= 0; i = s.footer() {
			s.labelled[i] = true
		}
		return nil
	}
	label := s.footer()
	if label < 0 {
		return nil
	}
	word := strings.Clone(strings.TrimSpace(s.row[label]))
	columns := []int{label}
	s.hold()
	for {
		switch err := s.read(); {
		case errors.Is(err, io.EOF):
			s.said = append(s.said, fmt.Sprintf("%s:%d: %q in column %q: the end of the file is a sum or mean of the rows before, and was left out", s.name, s.held[0].line, word, s.names[label]))
			s.held = nil
			return io.EOF
		case err != nil:
			return err
		}
		i := s.footer()
		s.hold()
		if i < 0 && !s.blank() { // there are rows behind it
			break
		}
		if i >= 0 {
			columns = append(columns, i)
		}
		if len(s.held) > maxFooter {
			break
		}
	}
	for _, i := range columns {
		s.labelled[i] = true
	}
	return s.next()
}

// maxFooter lines are below a table.
const maxFooter = 20

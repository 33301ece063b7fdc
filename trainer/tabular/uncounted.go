package tabular

import (
	"errors"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/table"
)

// uncounted are the cells of an input that are no number to count.
type uncounted struct {
	n     int
	first *table.CellError
}

// leaveOut has a cell count as missing that is no number, where only statistics are
// gathered: each column by itself, so that one cell costs nothing but itself (S-66).
func (l *loader) leaveOut(input int, err error) (float64, error) {
	var cell *table.CellError
	if !l.config.Target.none || !errors.As(err, &cell) {
		return 0, err
	}
	if l.uncounted == nil {
		l.uncounted = make([]uncounted, len(l.seen))
	}
	u := &l.uncounted[input]
	if u.n++; u.n == 1 {
		u.first = cell
	}
	return math.NaN(), nil
}

// uncountedNotes say which cells that were. A column without any number is an error.
func (l *loader) uncountedNotes() (notes []string, err error) {
	for i, u := range l.uncounted {
		name := l.seen[i].Name
		switch {
		case u.n == 0:
			continue
		case l.seen[i].N == 0:
			return nil, fmt.Errorf("tabular: %w; no cell of %s is a number", u.first, name)
		}
		cells := "1 cell is no number that can be counted, and counts as missing"
		if u.n > 1 {
			cells = fmt.Sprintf("%d cells are no numbers that can be counted, and count as missing; the first", u.n)
		}
		notes = append(notes, fmt.Sprintf("%s: %s: %v", name, cells, u.first))
	}
	return notes, nil
}

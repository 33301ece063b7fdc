package predict

import (
	"encoding/csv"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/internal/table"
)

// csvWriter writes CSV with the separator and the decimal mark of another table.
type csvWriter struct {
	w     *csv.Writer
	cells []string
	like  *table.Table // its decimal mark is known with its first number
}

// NewCSV writes a header and then rows as CSV, in UTF-8, with the separator and the
// decimal mark of the table that they are from.
func NewCSV(w io.Writer, columns []Column, like *table.Table) (Writer, error) {
	c := &csvWriter{w: csv.NewWriter(w), cells: make([]string, len(columns)), like: like}
	if r := []rune(like.Format().Separator); len(r) == 1 {
		c.w.Comma = r[0]
	}
	for i, column := range columns {
		c.cells[i] = column.Name
	}
	return c, c.w.Write(c.cells)
}

func (c *csvWriter) Write(row []Value) error {
	comma := c.like.Format().Decimal == ","
	for i, v := range row {
		c.cells[i] = v.Text
		if v.Text != "" || math.IsNaN(v.Number) {
			continue
		}
		c.cells[i] = strconv.FormatFloat(v.Number, 'g', -1, 64)
		if comma {
			c.cells[i] = strings.Replace(c.cells[i], ".", ",", 1)
		}
	}
	return c.w.Write(c.cells)
}

func (c *csvWriter) Close() error {
	c.w.Flush()
	return c.w.Error()
}

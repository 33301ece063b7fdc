package predict

import (
	"io"
	"math"
	"reflect"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// parquetWriter writes a Parquet file: of numbers doubles, or whole ones of 64 bits, and
// texts of what else there is; a cell without a value is null.
type parquetWriter struct {
	w       *parquet.GenericWriter[any]
	columns []Column
	row     parquet.Row
}

// NewParquet writes rows as a Parquet file.
func NewParquet(w io.Writer, columns []Column) Writer {
	p := &parquetWriter{columns: columns, row: make(parquet.Row, len(columns))}
	fields := make([]parquet.Field, len(columns))
	for i, c := range columns {
		leaf := parquet.String()
		switch {
		case c.Whole:
			leaf = parquet.Leaf(parquet.Int64Type)
		case c.Number:
			leaf = parquet.Leaf(parquet.DoubleType)
		}
		fields[i] = field{parquet.Optional(leaf), c.Name}
	}
	p.w = parquet.NewGenericWriter[any](w, parquet.NewSchema("rows", ordered{parquet.Group{}, fields}), parquet.Compression(&parquet.Snappy))
	return p
}

func (p *parquetWriter) Write(row []Value) error {
	for i, v := range row {
		p.row[i] = parquet.NullValue().Level(0, 0, i)
		switch c := p.columns[i]; {
		case c.Whole:
			if n, err := strconv.ParseInt(v.Text, 10, 64); err == nil {
				p.row[i] = parquet.Int64Value(n).Level(0, 1, i)
			}
		case c.Number:
			if !math.IsNaN(v.Number) {
				p.row[i] = parquet.DoubleValue(v.Number).Level(0, 1, i)
			}
		case v.Text != "":
			p.row[i] = parquet.ByteArrayValue([]byte(v.Text)).Level(0, 1, i)
		}
	}
	_, err := p.w.WriteRows([]parquet.Row{p.row})
	return err
}

func (p *parquetWriter) Close() error { return p.w.Close() }

// ordered is a group with its columns in the order given, where Group sorts them.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

func (g ordered) Fields() []parquet.Field { return g.fields }

// field is a column of a group. Rows are written as values, so nothing asks for a member
// of a struct.
type field struct {
	parquet.Node
	name string
}

func (f field) Name() string { return f.name }

func (f field) Value(base reflect.Value) reflect.Value { return base }

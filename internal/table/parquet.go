package table

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquetMagic begins a Parquet file.
const parquetMagic = "PAR1"

// maxParquet bounds a Parquet file, which is read as a whole.
const maxParquet = 1 << 30

// parquetSource reads a Parquet file. Its cells are texts, as those of a CSV file that
// says the same.
type parquetSource struct {
	name    string
	groups  []parquet.RowGroup
	rows    parquet.Rows
	buf     []parquet.Row
	at0, n  int // rows of buf that are read, and there
	columns []parquetColumn
	values  []parquet.Value // of the current row, by column
	row     int
	closer  io.Closer
}

type parquetColumn struct {
	name  string
	unfit string // why it has no value to a row, or none that is read
	kind  Kind
	text  func(parquet.Value) string
}

func openParquet(in io.Reader, file io.Closer, name string) (_ *parquetSource, err error) {
	defer broken(name, &err)
	b, err := io.ReadAll(io.LimitReader(in, maxParquet+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > maxParquet {
		return nil, fmt.Errorf("%s: a Parquet file of more than %d bytes: want several, and a pattern such as data-*.parquet", name, maxParquet)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s := &parquetSource{name: name, groups: f.RowGroups(), buf: make([]parquet.Row, 64), closer: file}
	for _, path := range f.Schema().Columns() {
		leaf, _ := f.Schema().Lookup(path...)
		s.columns = append(s.columns, columnOf(strings.Join(path, "."), leaf))
	}
	s.values = make([]parquet.Value, len(s.columns))
	return s, nil
}

// broken makes an error of what package parquet panics with at a file that is none.
func broken(name string, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: a broken Parquet file: %v", name, r)
	}
}

func (s *parquetSource) header() []string {
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = c.name
	}
	return names
}

func (s *parquetSource) next() (err error) {
	defer broken(s.name, &err)
	for s.at0 == s.n {
		if s.rows == nil {
			if len(s.groups) == 0 {
				return io.EOF
			}
			s.rows, s.groups = s.groups[0].Rows(), s.groups[1:]
		}
		n, err := s.rows.ReadRows(s.buf)
		s.at0, s.n = 0, n
		if err != nil && err != io.EOF { //nolint:errorlint // ReadRows returns it as it is
			return fmt.Errorf("%s: row %d: %w", s.name, s.row+1, err)
		}
		if n == 0 {
			if err := s.rows.Close(); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.rows = nil
		}
	}
	clear(s.values)
	for _, v := range s.buf[s.at0] {
		if i := v.Column(); i >= 0 && i < len(s.values) {
			s.values[i] = v
		}
	}
	s.at0++
	s.row++
	return nil
}

func (s *parquetSource) cell(i int) string {
	if c := &s.columns[i]; c.text != nil && !s.values[i].IsNull() {
		return c.text(s.values[i])
	}
	return ""
}

func (s *parquetSource) at(i int) string {
	return fmt.Sprintf("%s: row %d, column %q", s.name, s.row, s.columns[i].name)
}

func (s *parquetSource) about() string { return "Parquet" }

func (s *parquetSource) notes() []string { return nil }

func (s *parquetSource) close() (err error) {
	defer broken(s.name, &err)
	if s.rows != nil {
		err = s.rows.Close()
		s.rows = nil
	}
	if closed := s.closer.Close(); err == nil {
		err = closed
	}
	return err
}

// columnOf says how the values of a column are written.
func columnOf(name string, leaf parquet.LeafColumn) parquetColumn {
	c := parquetColumn{name: name, kind: kindOf(leaf)}
	if leaf.MaxRepetitionLevel > 0 {
		c.unfit = "is a list, and has several values in a row"
		return c
	}
	kind := leaf.Node.Type()
	if lt := kind.LogicalType(); lt != nil {
		if _, half := lt.Value.(*format.Float16Type); half {
			c.unfit = "has numbers of 16 bits, which are not read"
			return c
		}
		if c.text = logicalText(lt.Value, kind.Kind()); c.text != nil {
			return c
		}
	}
	if c.text = physicalText(kind.Kind()); c.text == nil {
		c.unfit = fmt.Sprintf("is of the type %s, which is not read", kind)
	}
	return c
}

func logicalText(lt format.LogicalTypeValue, kind parquet.Kind) func(parquet.Value) string {
	switch lt := lt.(type) {
	case *format.DateType:
		return func(v parquet.Value) string { return time.Unix(int64(v.Int32())*86400, 0).UTC().Format(time.DateOnly) }
	case *format.TimestampType:
		return timestampText(lt)
	case *format.TimeType:
		return func(v parquet.Value) string {
			return time.Time{}.Add(duration(&lt.Unit, integer(v, kind))).Format("15:04:05.999999999")
		}
	case *format.DecimalType:
		return func(v parquet.Value) string { return decimalOf(v, kind, int(lt.Scale)) }
	case *format.IntType:
		if !lt.IsSigned {
			return func(v parquet.Value) string {
				if kind == parquet.Int32 {
					return strconv.FormatUint(uint64(v.Uint32()), 10)
				}
				return strconv.FormatUint(v.Uint64(), 10)
			}
		}
	case *format.UUIDType:
		return func(v parquet.Value) string { return hex.EncodeToString(v.ByteArray()) }
	}
	return nil
}

func timestampText(lt *format.TimestampType) func(parquet.Value) string {
	form := "2006-01-02T15:04:05.999999999"
	if lt.IsAdjustedToUTC {
		form += "Z"
	}
	return func(v parquet.Value) string {
		n := v.Int64()
		switch lt.Unit.Value.(type) {
		case *format.MilliSeconds:
			return time.UnixMilli(n).UTC().Format(form)
		case *format.MicroSeconds:
			return time.UnixMicro(n).UTC().Format(form)
		}
		return time.Unix(0, n).UTC().Format(form)
	}
}

func duration(unit *format.TimeUnit, n int64) time.Duration {
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		return time.Duration(n) * time.Millisecond
	case *format.MicroSeconds:
		return time.Duration(n) * time.Microsecond
	}
	return time.Duration(n)
}

// kindOf says what the cells of a column are, whatever its name says.
func kindOf(leaf parquet.LeafColumn) Kind {
	if lt := leaf.Node.Type().LogicalType(); lt != nil {
		switch lt := lt.Value.(type) {
		case *format.DecimalType:
			return KindNumber
		case *format.IntType:
			if !lt.IsSigned && lt.BitWidth == 64 {
				return KindText
			}
		default:
			return KindText
		}
	}
	switch leaf.Node.Type().Kind() {
	case parquet.Int32, parquet.Int64:
		return KindWhole
	case parquet.Float, parquet.Double:
		return KindNumber
	}
	return KindText
}

func integer(v parquet.Value, kind parquet.Kind) int64 {
	if kind == parquet.Int32 {
		return int64(v.Int32())
	}
	return v.Int64()
}

// decimalOf writes an unscaled whole number with its decimal point.
func decimalOf(v parquet.Value, kind parquet.Kind, scale int) string {
	n := new(big.Int)
	switch kind {
	case parquet.Int32, parquet.Int64:
		n.SetInt64(integer(v, kind))
	default: // big-endian, two's complement
		b := v.ByteArray()
		n.SetBytes(b)
		if len(b) > 0 && b[0] >= 0x80 {
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
	}
	if scale <= 0 {
		return n.String()
	}
	return new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)).FloatString(scale)
}

// julianEpoch is 1970-01-01 as the day of an INT96 time.
const julianEpoch = 2440588

func physicalText(kind parquet.Kind) func(parquet.Value) string {
	switch kind {
	case parquet.Boolean:
		return func(v parquet.Value) string { return strconv.FormatBool(v.Boolean()) }
	case parquet.Int32, parquet.Int64:
		return func(v parquet.Value) string { return strconv.FormatInt(integer(v, kind), 10) }
	case parquet.Int96: // a time, of Impala and old Spark
		return func(v parquet.Value) string {
			x := v.Int96()
			nanos := int64(x[0]) | int64(x[1])<<32
			return time.Unix((int64(x[2])-julianEpoch)*86400, nanos).UTC().Format("2006-01-02T15:04:05.999999999")
		}
	case parquet.Float:
		return func(v parquet.Value) string { return strconv.FormatFloat(float64(v.Float()), 'g', -1, 32) }
	case parquet.Double:
		return func(v parquet.Value) string { return strconv.FormatFloat(v.Double(), 'g', -1, 64) }
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return func(v parquet.Value) string {
			if b := v.ByteArray(); utf8.Valid(b) {
				return string(b)
			}
			return hex.EncodeToString(v.ByteArray())
		}
	}
	return nil
}

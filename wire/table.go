package wire

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/fedmq/fedmq/model"
)

// rowFields of the tensor table (W-22): one row [name, dtype, shape, offset,
// bytes] per tensor, in schema order, without gaps; the blob follows later in
// the body as one bin.
const rowFields = 5

func appendTable(b []byte, s model.Schema) []byte {
	b = appendArray(b, len(s))
	offset := 0
	for _, spec := range s {
		b = appendStr(appendArray(b, rowFields), spec.Name)
		b = appendStr(b, spec.DType.String())
		b = appendArray(b, len(spec.Shape))
		for _, d := range spec.Shape {
			b = appendUint(b, uint64(d)) // dimensions are >= 0
		}
		b = appendUint(b, uint64(offset))       // sizes are >= 0
		b = appendUint(b, uint64(spec.Bytes())) // sizes are >= 0
		offset += spec.Bytes()
	}
	return b
}

// table reads a tensor table row by row. Against a known schema it allocates
// nothing, and keeps the first difference for the end: what is malformed is
// said before what does not match.
type table struct {
	want  model.Schema
	any   bool // there is no schema to match: the rows are kept
	specs []model.Spec
	size  uint64 // bytes of the blob
	diff  string // first difference to want
}

func (t *table) read(r *reader) {
	n := r.count("table", model.MaxTensors)
	if t.any {
		t.specs = make([]model.Spec, 0, n)
	} else if n != len(t.want) {
		t.differ("%d tensors, want %d", n, len(t.want))
	}
	var prev []byte
	for i := 0; i < n && r.err == nil; i++ {
		prev = t.row(r, i, prev)
	}
}

// row reads row i and returns its name, which must come after prev.
func (t *table) row(r *reader, i int, prev []byte) []byte {
	r.array("row", rowFields)
	name := r.raw("name", model.MaxName)
	kind := r.raw("dtype", 8)
	var dims [model.MaxDims]int
	shape := dims[:r.count("shape", model.MaxDims)]
	for d := range shape {
		shape[d] = int(r.uint("dimension", math.MaxInt)) // bounded
	}
	offset, size := r.uint64("offset"), r.uint64("bytes")
	if r.err != nil {
		return nil
	}
	dtype, err := model.ParseDType(string(kind))
	switch bytesOf, ok := tensorBytes(dtype, shape); {
	case err != nil:
		r.malformed("row %d: %v", i, err)
	case len(name) == 0 || !printable(name):
		r.malformed("row %d: the name is not 1 to 256 bytes of printable text", i)
	case i > 0 && bytes.Compare(prev, name) >= 0:
		r.malformed("row %d: name %s does not come after %s", i, short(string(name)), short(string(prev)))
	case !ok || size != bytesOf:
		r.malformed("row %d: %d bytes for %v %v", i, size, dtype, shape)
	case offset != t.size || size > math.MaxInt-t.size:
		r.malformed("row %d: offset %d, want %d", i, offset, t.size)
	default:
		t.size += size
		t.take(i, name, dtype, shape)
	}
	return name
}

// take keeps a good row, or compares it.
func (t *table) take(i int, name []byte, dtype model.DType, shape []int) {
	if t.any {
		t.specs = append(t.specs, model.Spec{Name: string(name), DType: dtype, Shape: slices.Clone(shape)})
		return
	}
	if i >= len(t.want) {
		return
	}
	w := t.want[i]
	if string(name) != w.Name || dtype != w.DType || !slices.Equal(shape, w.Shape) {
		t.differ("tensor %d is %s %v %v, want %s %v %v", i, short(string(name)), dtype, slices.Clone(shape), short(w.Name), w.DType, w.Shape)
	}
}

func (t *table) differ(format string, args ...any) {
	if t.diff == "" {
		t.diff = fmt.Sprintf(format, args...)
	}
}

// schema returns the schema of the rows: want if they matched it (rules
// included), else one made of them.
func (t *table) schema(r *reader) model.Schema {
	switch {
	case r.err != nil:
		return nil
	case t.any:
		s, err := model.NewSchema(t.specs...)
		if err != nil {
			r.malformed("table: %v", err)
		}
		return s
	case t.diff != "":
		r.refuse(ReasonSchemaMismatch, StageSchema, "%s", t.diff)
		return nil
	}
	return t.want
}

// tensorBytes is the size of a tensor; ok is false if it overflows. A zero
// dimension hides no overflow of the others.
func tensorBytes(d model.DType, shape []int) (size uint64, ok bool) {
	n, zero := uint64(d.Size()), false // at most 8
	for _, dim := range shape {
		if dim == 0 {
			zero = true
			continue
		}
		hi, lo := bits.Mul64(n, uint64(dim)) // dimensions are >= 0
		if hi != 0 || lo > math.MaxInt {
			return 0, false
		}
		n = lo
	}
	if zero {
		return 0, true
	}
	return n, true
}

// blob reads the values of a table.
func (t *table) blob(r *reader) []byte {
	b := r.bin("blob")
	t.holds(r, b)
	return b
}

// holds reports a blob that is not as long as its table says.
func (t *table) holds(r *reader, blob []byte) {
	if r.err == nil && uint64(len(blob)) != t.size {
		r.malformed("blob of %d bytes, the table says %d", len(blob), t.size)
	}
}

// checkTensors is Encode's check of a model; nil has no tensors.
func checkTensors(m *model.Model) error {
	if m == nil {
		return nil
	}
	return cmp.Or(checkSchema(m.Schema), m.Check())
}

// checkSchema is Encode's check of a schema.
func checkSchema(s model.Schema) error {
	if _, err := model.NewSchema(s...); err != nil {
		return err
	}
	for i := 1; i < len(s); i++ {
		if s[i-1].Name >= s[i].Name {
			return fmt.Errorf("schema: %s does not come after %s", short(s[i].Name), short(s[i-1].Name))
		}
	}
	return nil
}

// tensors returns the schema and the blob of a model that may be nil.
func tensors(m *model.Model) (model.Schema, []byte) {
	if m == nil {
		return nil, nil
	}
	return m.Schema, m.Blob
}

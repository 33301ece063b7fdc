package wire

import (
	"encoding/binary"
	"encoding/json"
	"math"
)

// Bounds of the counts of an update (W-50).
const (
	maxClasses = 80
	scoreBins  = 256
	maxRows    = 1 << 40
	maxCounts  = MaxCounts
)

// MaxCounts is the most bytes of [Counts].
const MaxCounts = 96 << 10

// Counts are what a site counted of the rows of a classifier, packed (W-50): the rows of
// class i taken for class j, int64 [n][n], and the histograms of the probability of each
// class, uint32 [n][2][256], over the rows of other classes and over its own. A byte says
// how many classes there are, 2 to 80, and one whether there are histograms. Then all
// numbers follow as varints in their shortest form, those of the matrix first; zeros in a
// row are one 0 and how many follow it, and those at the end are left out.
type Counts []byte

// PackCounts packs them: confusion has n*n numbers, scores n*2*256 or none.
func PackCounts(confusion []int64, scores []uint32) Counts {
	b := Counts{byte(math.Sqrt(float64(len(confusion)))), 0} // at most 80
	if len(scores) > 0 {
		b[1] = 1
	}
	zeros := uint64(0)
	put := func(v uint64) {
		if v == 0 {
			zeros++
			return
		}
		if zeros > 0 {
			b = binary.AppendUvarint(append(b, 0), zeros-1)
			zeros = 0
		}
		b = binary.AppendUvarint(b, v)
	}
	for _, v := range confusion {
		put(uint64(v)) // from 0 up
	}
	for _, v := range scores {
		put(uint64(v))
	}
	return b
}

// Unpack returns the numbers; bytes that are no counts are an error that wraps a
// [*Refusal].
func (c Counts) Unpack() (confusion []int64, scores []uint32, err error) {
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	n := int(c[0])
	confusion = make([]int64, n*n)
	if c[1] == 1 {
		scores = make([]uint32, n*2*scoreBins)
	}
	c.walk(func(at int, v uint64) {
		if at < len(confusion) {
			confusion[at] = int64(v) // at most maxRows
		} else {
			scores[at-len(confusion)] = uint32(v) // checked
		}
	})
	return confusion, scores, nil
}

// MarshalJSON shows the matrix to people, and how many histograms there are.
func (c Counts) MarshalJSON() ([]byte, error) {
	cells, scores, err := c.Unpack()
	if err != nil {
		return nil, err
	}
	var v struct {
		Confusion  [][]int64 `json:"confusion"`
		Histograms int       `json:"histograms"`
	}
	for n := int(c[0]); len(cells) > 0; cells = cells[n:] {
		v.Confusion = append(v.Confusion, cells[:n])
	}
	v.Histograms = len(scores) / scoreBins
	return json.Marshal(v)
}

// check reports bytes that PackCounts does not write.
func (c Counts) check() error {
	if len(c) < 2 || len(c) > maxCounts || c[0] < 2 || c[0] > maxClasses || c[1] > 1 {
		return refuse(ReasonMalformed, StageDecode, "counts: want 2 to %d bytes for 2 to %d classes, got %d", maxCounts, maxClasses, len(c))
	}
	if bad := c.walk(nil); bad != "" {
		return refuse(ReasonMalformed, StageDecode, "counts: %s", bad)
	}
	return nil
}

// walk visits the numbers other than 0, in order, with their places.
func (c Counts) walk(visit func(at int, v uint64)) problem {
	n := int(c[0])
	cells := n * n
	all := cells + int(c[1])*n*2*scoreBins
	rows, at, after := uint64(0), 0, false // after zeros
	for b := []byte(c[2:]); len(b) > 0; {
		v, size := uvarint(b)
		if size == 0 {
			return "a number that is cut short, or not in its shortest form"
		}
		b = b[size:]
		if v == 0 {
			zeros, size := uvarint(b)
			if size == 0 || after || zeros >= uint64(all-at) || size == len(b) {
				return "zeros that are too many, or written twice, or at the end"
			}
			b, at, after = b[size:], at+int(zeros)+1, true // less than all
			continue
		}
		switch {
		case at >= all:
			return "more numbers than the classes have"
		case at < cells:
			if v > maxRows-rows {
				return "more rows than a site can have"
			}
			rows += v
		case v > math.MaxUint32:
			return "a bin of more rows than a site can have"
		}
		if visit != nil {
			visit(at, v)
		}
		at, after = at+1, false
	}
	return ""
}

// uvarint reads a varint in its shortest form; size 0: there is none.
func uvarint(b []byte) (v uint64, size int) {
	v, size = binary.Uvarint(b)
	if size <= 0 || size > 1 && b[size-1] == 0 {
		return 0, 0
	}
	return v, size
}

// countsOf is the member counts.
type countsOf struct{ p *Counts }

func (v countsOf) set() bool                  { return len(*v.p) > 0 }
func (v countsOf) check() error               { return v.p.check() }
func (v countsOf) put(b []byte) []byte        { return appendBin(b, *v.p) }
func (v countsOf) get(r *reader, name string) { *v.p = r.bin(name) }

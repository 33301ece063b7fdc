package tabular

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// share deals rows to training and test by what is in them: the same row goes the
// same way, in whichever file and place, CSV or Parquet, and rows that are equal stay together. Rows of a
// unit go by its name, or windows of one machine would be on both sides.
type share struct {
	part float64 // of the rows that are test rows
	hash hash.Hash
}

func newShare(part float64) *share { return &share{part, sha256.New()} }

// test reports whether the current row of t is a test row. columns are those that
// name its unit; none: all.
func (s *share) test(t rows, columns []int) bool {
	s.hash.Reset()
	add := func(i int) {
		s.hash.Write([]byte(t.Canonical(i)))
		s.hash.Write([]byte{0})
	}
	for _, i := range columns {
		add(i)
	}
	for i, name := range t.Names() {
		if len(columns) == 0 && name != "" { // pandas writes a column without one in CSV alone
			add(i)
		}
	}
	v := binary.BigEndian.Uint64(s.hash.Sum(nil))
	return float64(v>>11)/(1<<53) < s.part
}

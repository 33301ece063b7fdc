package strategy

import (
	"encoding/binary"
	"fmt"

	"github.com/fedmq/fedmq/internal/fold"
)

// AppendSums appends total weight, number of members, and the sums of all
// tensors, each 8 bytes, little-endian.
func (f *linear) AppendSums(b []byte) []byte {
	s := f.made()
	b = binary.LittleEndian.AppendUint64(b, s[0].Weight())
	b = binary.LittleEndian.AppendUint64(b, uint64(s[0].Members())) // a count
	for _, s := range s {
		for i := range s.Len() {
			b = binary.LittleEndian.AppendUint64(b, uint64(s.At(i))) // its bits
		}
	}
	return b
}

func (f *linear) AddSums(b []byte) error {
	want := 16
	for _, spec := range f.shared {
		want += 8 * spec.Elements()
	}
	if len(b) != want {
		return fmt.Errorf("%w: sums of %d bytes, want %d", ErrOutOfRange, len(b), want)
	}
	weight, members := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	if weight > f.room() {
		return fmt.Errorf("%w: sums of the weight %d, there is room for %d", ErrFull, weight, f.room())
	}
	rest, parts := b[16:], make([]*fold.Sum, len(f.shared))
	for i, spec := range f.shared {
		n := 8 * spec.Elements()
		var err error
		if parts[i], err = fold.SumOf(f.grid, spec.DType, rest[:n], weight, members); err != nil {
			return err
		}
		rest = rest[n:]
	}
	for i, s := range f.made() {
		if err := s.Merge(parts[i]); err != nil {
			return err
		}
	}
	return nil
}

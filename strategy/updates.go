package strategy

import (
	"fmt"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// Updates reads the updates of an attempt at its end, a few values at a time:
// they need not fit into memory together. It is not used from two goroutines at once.
type Updates struct {
	Schema model.Schema
	List   []Update // measured, without tensors, in byte order of their members' paths
	// ReadAt fills p with the bytes from offset off on of the tensors of update i.
	ReadAt func(p []byte, i, off int) error

	raw []byte // of Read
}

// Read fills dst with the values of update i from coordinate at on, counted over
// all tensors of the schema in its order, clipped. Zeros keep their sign.
func (u *Updates) Read(dst []float64, i, at int) error {
	if err := u.read(dst, i, at); err != nil {
		return err
	}
	if s := u.List[i].Clip; s != 0 {
		for j := range dst {
			dst[j] = float64(dst[j] * s)
		}
	}
	return nil
}

func (u *Updates) read(dst []float64, i, at int) error {
	for k, spec := range u.Schema {
		n, size := spec.Elements(), spec.DType.Size()
		if at < n {
			m := min(n-at, len(dst))
			if cap(u.raw) < m*size {
				u.raw = make([]byte, m*size)
			}
			raw := u.raw[:m*size]
			if err := u.ReadAt(raw, i, u.Schema.Offset(k)+at*size); err != nil {
				return err
			}
			fold.Values(dst[:m], raw, spec.DType)
			dst, at = dst[m:], n
		}
		at -= n
		if len(dst) == 0 {
			return nil
		}
	}
	panic(fmt.Sprintf("strategy: %d values are read beyond the end of an update", len(dst)))
}

// Blocks calls fn for every block of coordinates of all tensors together, with
// the values of all updates: values[i][j] is coordinate at+j of update i.
func (u *Updates) Blocks(fn func(at int, values [][]float64) error) error {
	d, size := u.Schema.Elements(), blockOf(len(u.List))
	values := grid(len(u.List), min(size, d))
	for at := 0; at < d; at += size {
		for i := range values {
			values[i] = values[i][:min(size, d-at)]
			if err := u.Read(values[i], i, at); err != nil {
				return err
			}
		}
		if err := fn(at, values); err != nil {
			return err
		}
	}
	return nil
}

// readBlock is how many coordinates of each update are read at a time, where there is
// room for those of all.
const readBlock = 1 << 16

// readMemory is how many values of all updates together are in memory, about.
const readMemory = 1 << 23

// blockOf is how many coordinates of each of n updates are read at a time.
func blockOf(n int) int { return min(readBlock, max(readMemory/max(n, 1), 256)) }

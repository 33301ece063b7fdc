package strategy

import (
	"math"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// OnePass is a fold that can check an update, take its norm and add it in one pass over
// its values, wherever these lie, before it is known whether the update counts.
type OnePass interface {
	Fold
	// Take adds an update whose values at has, and u not, if none is beyond most, and
	// returns its norm, as [Norm] does. One that is not taken leaves the fold as it was,
	// and is for Check and Add. After an error, which is of at, the fold is not to be used
	// any more.
	Take(u Update, most float64, at View) (norm float64, taken bool, err error)
	// Back takes out again what Take has added, to the bit.
	Back(u Update, at View) error
}

// View gives bytes of an update from off on, as many as lie together: least or more of
// them, and most at most. They are good until the next call.
type View func(off, least, most int) ([]byte, error)

// MaxView is how many bytes are looked at together, at most.
const MaxView = 256 << 10

// Take is [OnePass], for the coefficient 1.
func (f *linear) Take(u Update, most float64, at View) (norm float64, taken bool, err error) {
	c := float64(u.Weight)
	fits := f.grid.CheckValues(nil, model.F64, u.Weight, c) == nil && u.Weight <= f.room()
	if f.of != nil || !fits {
		return 0, false, nil
	}
	squares, done := 0.0, 0
	err = f.blocks(at, f.shared.Bytes(), func(s *fold.Sum, x []byte, first, size int) bool {
		var n int
		squares, n = s.Take(x, first, u.Weight, c, most, squares)
		done += size * n
		return size*n == len(x)
	})
	if err != nil || done < f.shared.Bytes() {
		if err == nil {
			err = f.back(c, at, done)
		}
		return 0, false, err
	}
	for _, s := range f.sums {
		s.Count(u.Weight)
	}
	return math.Sqrt(squares), true, nil
}

// Back is [OnePass].
func (f *linear) Back(u Update, at View) error {
	for _, s := range f.sums {
		s.Discount(u.Weight)
	}
	return f.back(float64(u.Weight), at, f.shared.Bytes())
}

// back takes out the first bytes of an update.
func (f *linear) back(c float64, at View, bytes int) error {
	return f.blocks(at, bytes, func(s *fold.Sum, x []byte, first, _ int) bool { s.Back(x, first, c); return true })
}

// blocks calls fn for the first bytes of an update in their order, with the values x of
// the coordinates of s from first on, of size bytes each, until it has enough.
func (f *linear) blocks(at View, bytes int, fn func(s *fold.Sum, x []byte, first, size int) bool) error {
	off := 0
	for i, s := range f.made() {
		size := f.shared[i].DType.Size()
		for first := 0; first < s.Len() && off < bytes; {
			n := min(MaxView/size, s.Len()-first, (bytes-off)/size)
			x, err := at(off, size, n*size)
			n = len(x) / size
			if err != nil || !fn(s, x[:n*size], first, size) {
				return err
			}
			first, off = first+n, off+n*size
		}
	}
	return nil
}

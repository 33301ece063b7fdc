package strategy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/fold"
)

// summed is a linear fold that adds up one number of every update beside its values,
// exactly (F-13), and scales the mean update by what comes of it.
type summed struct {
	*linear
	of    func(Update) (float64, error)       // the number, 0 or more; of an update whose values may be added
	scale func(total, weight float64) float64 // of the mean; the total is above 0
	total *fold.Scalar
}

// begin starts a fold of l with such a sum.
func (f summed) begin(l Linear, r Round, before Fold) (Fold, error) {
	var old Fold
	if b, ok := before.(*summed); ok {
		old = b.linear
	}
	values, err := l.Begin(r, old)
	if err != nil {
		return nil, err
	}
	f.linear, f.total = values.(*linear), fold.NewScalar(fold.CoefficientStep)
	return &f, nil
}

// mostSummed is the most that one update adds to a sum, and mostMembers how many may.
const (
	mostSummed  = 1 << 48
	mostMembers = 1 << 14
)

func (f *summed) Check(u Update) error {
	err := f.linear.Check(u)
	if err != nil && !errors.Is(err, ErrFull) {
		return err
	}
	switch v, bad := f.of(u); {
	case bad != nil:
		return bad
	case !(v >= 0 && v <= mostSummed):
		return fmt.Errorf("%w: %g would be summed, want 0 to 2^48", ErrOutOfRange, v)
	case err == nil && f.total.Members() == mostMembers:
		return fmt.Errorf("%w: %d members", ErrFull, mostMembers)
	}
	return err
}

func (f *summed) Add(u Update) {
	f.linear.Add(u)
	v, _ := f.of(u) // checked
	if err := f.total.Add(v); err != nil {
		panic(err)
	}
}

func (f *summed) Finish(_ *Updates, out *Output) error {
	if f.weight() == 0 {
		return ErrEmpty
	}
	total := f.total.Float64()
	if total == 0 {
		out.Note("what scales the mean update sums up to 0: the model stays as it is")
		return nil
	}
	scale := f.scale(total, float64(f.weight()))
	if math.IsInf(scale, 0) {
		return fmt.Errorf("%w: the mean update would be scaled by %v", ErrNotFinite, scale)
	}
	f.means(out, scale)
	return nil
}

// scalarBytes is what the sum takes in AppendSums.
const scalarBytes = 24

// AppendSums appends those of the linear fold, and the sum.
func (f *summed) AppendSums(b []byte) []byte { return f.total.Append(f.linear.AppendSums(b)) }

func (f *summed) AddSums(b []byte) error {
	if len(b) < 16+scalarBytes {
		return fmt.Errorf("%w: sums of %d bytes", ErrOutOfRange, len(b))
	}
	values := b[:len(b)-scalarBytes]
	part, err := fold.ScalarOf(fold.CoefficientStep, b[len(values):])
	if err != nil {
		return err
	}
	if n := binary.LittleEndian.Uint64(values[8:]); uint64(part.Members()) != n || part.Float64() < 0 || part.Float64() > float64(n)*mostSummed {
		return fmt.Errorf("%w: a sum of %d members that is %g, beside values of %d", ErrOutOfRange, part.Members(), part.Float64(), n)
	}
	total := *f.total
	if err := total.Merge(part); err != nil {
		return err
	}
	if err := f.linear.AddSums(values); err != nil {
		return err
	}
	*f.total = total
	return nil
}

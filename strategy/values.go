package strategy

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// Values checks the values of updates of a round: that they are finite and
// within the grid (F-3, F-4). A fold embeds it and has Schema, CheckPart and
// Check.
type Values struct {
	shared model.Schema
	grid   fold.Grid
}

// NewValues holds updates of a round to what the base shares: its tensors of
// the rule mean, all f32 or f64. Errors wrap [ErrUnsupported], model.ErrSchema or
// [ErrNotFinite], and say what about the base helps.
func NewValues(r Round) (*Values, error) {
	v := &Values{grid: fold.Grid{B: r.GridB, W: r.GridW}}
	if err := errors.Join(r.Base.Check(), v.grid.Check()); err != nil {
		return nil, err
	}
	v.shared = r.Base.Schema.Shared()
	if len(v.shared) == 0 {
		return nil, fmt.Errorf("%w: none of its %d tensors is averaged, all have the rule keep: nothing would be trained", ErrUnsupported, len(r.Base.Schema))
	}
	for _, spec := range v.shared {
		if err := averaged(spec, r.Base.Bytes(spec.Name)); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Schema is the tensors that the base shares.
func (v *Values) Schema() model.Schema { return v.shared }

// Check holds the values of an update to the grid, whose coefficient is its weight.
func (v *Values) Check(u Update) error { return v.check(u, float64(u.Weight)) }

// check is Check for an update that is added with a coefficient of its own.
func (v *Values) check(u Update, c float64) error {
	if u.Tensors == nil || !u.Tensors.Schema.Equal(v.shared) {
		return fmt.Errorf("%w: an update of other tensors than the base shares", model.ErrSchema)
	}
	if err := u.Tensors.Check(); err != nil {
		return err
	}
	var worst error
	rest := u.Tensors.Blob
	for _, spec := range v.shared {
		n := spec.Bytes()
		if err := v.grid.CheckValues(rest[:n], spec.DType, u.Weight, c); rank(err) > rank(worst) {
			worst = v.blame(spec, 0, err)
		}
		rest = rest[n:]
	}
	return worst
}

// CheckPart holds the values that lie wholly in a part to the grid.
func (v *Values) CheckPart(u Update, part []byte, off int) error {
	var worst error
	start := 0 // of the tensor, in the update
	for _, spec := range v.shared {
		x, first := inside(part, off-start, spec)
		start += spec.Bytes()
		if len(x) == 0 {
			continue
		}
		if err := v.grid.CheckValues(x, spec.DType, u.Weight, float64(u.Weight)); rank(err) > rank(worst) {
			worst = v.blame(spec, first, err)
		}
	}
	return worst
}

// inside returns the whole values of a tensor in a part that starts off bytes
// after the tensor does, and the place of the first of them in the tensor.
func inside(part []byte, off int, spec model.Spec) (values []byte, first int) {
	size := spec.DType.Size()
	from := max(off+size-1, 0) / size * size // of the first whole value, in the tensor
	to := min(off+len(part), spec.Bytes())
	to -= to % size
	if to <= from {
		return nil, 0
	}
	return part[from-off : to-off], from / size
}

// rank orders verdicts, so that which one is told does not depend on the order
// of tensors.
func rank(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrNotFinite):
		return 3
	case errors.Is(err, ErrOutOfRange):
		return 2
	}
	return 1
}

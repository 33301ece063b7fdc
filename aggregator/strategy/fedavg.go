package strategy

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// fedAvg is federated averaging, w + sum(n_k * delta_k) / sum(n_k), streamed:
// 8 bytes a parameter beside the base, whatever the number of members.
// McMahan et al. 2017, https://arxiv.org/abs/1602.05629
type fedAvg struct {
	base   *model.Model
	shared model.Schema
	grid   fold.Grid
	sums   []*fold.Sum // by tensor of shared; made with the first update
}

func (f *fedAvg) Name() string { return "fedavg" }

func (f *fedAvg) Begin(base *model.Model, g fold.Grid) error {
	if err := errors.Join(base.Check(), g.Check()); err != nil {
		return err
	}
	shared := base.Schema.Shared()
	if len(shared) == 0 {
		return fmt.Errorf("%w: none of its %d tensors is averaged, all have the rule keep: nothing would be trained", ErrUnsupported, len(base.Schema))
	}
	for _, spec := range shared {
		if err := averaged(spec, base.Bytes(spec.Name)); err != nil {
			return err
		}
	}
	if !shared.Equal(f.shared) {
		f.sums = nil
	}
	for _, s := range f.sums {
		s.Reset(g)
	}
	f.base, f.shared, f.grid = base, shared, g
	return nil
}

// sum is the sum of tensor i of shared.
func (f *fedAvg) sum(i int) *fold.Sum {
	if f.sums == nil {
		f.sums = make([]*fold.Sum, len(f.shared))
		for i, spec := range f.shared {
			f.sums[i] = fold.NewSum(f.grid, spec.Elements())
		}
	}
	return f.sums[i]
}

func (f *fedAvg) Check(delta *model.Model, weight uint64) error {
	if err := delta.Check(); err != nil {
		return err
	}
	if !delta.Schema.Equal(f.shared) {
		return fmt.Errorf("%w: an update of other tensors than the base shares", model.ErrSchema)
	}
	var worst error
	rest := delta.Blob
	for i, spec := range f.shared {
		n := spec.Bytes()
		check := f.sum(i).Check32
		if spec.DType == model.F64 {
			check = f.sum(i).Check64
		}
		err := check(rest[:n], weight, float64(weight))
		if rank(err) > rank(worst) {
			worst = f.blame(spec, 0, err)
		}
		rest = rest[n:]
	}
	return worst
}

func (f *fedAvg) CheckPart(part []byte, off int, weight uint64) error {
	var worst error
	for i, spec := range f.shared {
		x, first := inside(part, off-f.shared.Offset(i), spec)
		if len(x) == 0 {
			continue
		}
		check := f.sum(i).CheckSome32
		if spec.DType == model.F64 {
			check = f.sum(i).CheckSome64
		}
		if err := check(x, weight, float64(weight)); rank(err) > rank(worst) {
			worst = f.blame(spec, first, err)
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
	case errors.Is(err, fold.ErrNotFinite):
		return 3
	case errors.Is(err, fold.ErrOutOfRange):
		return 2
	}
	return 1
}

func (f *fedAvg) Add(delta *model.Model, weight uint64) {
	rest := delta.Blob
	for i, spec := range f.shared {
		n := spec.Bytes()
		if spec.DType == model.F64 {
			f.sum(i).Add64(rest[:n], weight, float64(weight))
		} else {
			f.sum(i).Add32(rest[:n], weight, float64(weight))
		}
		rest = rest[n:]
	}
}

func (f *fedAvg) Result() (*model.Model, error) {
	if len(f.sums) == 0 || f.sums[0].Weight() == 0 {
		return nil, ErrEmpty
	}
	return f.ResultInto(make([]byte, len(f.base.Blob)))
}

func (f *fedAvg) ResultInto(blob []byte) (*model.Model, error) {
	if len(f.sums) == 0 || f.sums[0].Weight() == 0 {
		return nil, ErrEmpty
	}
	if len(blob) != len(f.base.Blob) {
		return nil, fmt.Errorf("%w: %d bytes for a model of %d", model.ErrSchema, len(blob), len(f.base.Blob))
	}
	copy(blob, f.base.Blob)
	next := &model.Model{Schema: f.base.Schema, Blob: blob}
	for i, spec := range f.shared {
		values := next.Bytes(spec.Name)
		if spec.DType == model.F64 {
			f.sums[i].ApplyMean64(values, values)
		} else {
			f.sums[i].ApplyMean32(values, values)
		}
		if err := averaged(spec, values); err != nil {
			return nil, fmt.Errorf("the next model overflows: %w", err)
		}
	}
	return next, nil
}

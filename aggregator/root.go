package aggregator

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
	"github.com/fedmq/fedmq/trainer"
)

// rootMember is the aggregator's own trainer among the members, whose paths are another.
const rootMember = "root"

// rootOrNothing is rootUpdate, and no change at all where its trainer fails: then the
// round moves nothing, which its record says, and other tasks go on.
func (t *task) rootOrNothing(base *model.Model) (*model.Model, error) {
	own, err := t.rootUpdate(base)
	if err != nil {
		t.log.Error().Err(err).Uint64("round", t.state.Round).Str("key", "strategy.root").Msg("the aggregator's own trainer failed: this round leaves the model as it is")
		return model.New(base.Schema.Shared()), nil
	}
	return own, nil
}

// rootUpdate has the aggregator's own trainer train the base, and returns what a site
// would send: before updates are taken, since the strategy holds them against it.
func (t *task) rootUpdate(base *model.Model) (own *model.Model, err error) {
	defer func() {
		if p := recover(); p != nil {
			own, err = nil, fmt.Errorf("root: panic: %v", p)
		}
	}()
	round := t.state.Round
	ctx, stop := context.WithTimeout(context.Background(), t.cfg.Deadline)
	defer stop()
	local, err := t.cfg.Root.Train(ctx, trainer.Job{
		Task: t.cfg.Name, Member: rootMember, Round: round, Attempt: 1, Settings: t.settings.Train, Seed: trainer.Seed(t.settings.Seed, rootMember, round),
	}, base.Clone())
	if err == nil {
		local, err = lessBase(base, local)
	}
	if err == nil {
		err = usable(local)
	}
	if err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	return local, nil
}

// usable reports an update that no other can be held against: it would have every site's
// refused, although nothing is wrong with them.
func usable(own *model.Model) error {
	if norm := strategy.Norm(own); !math.IsNaN(norm) && !math.IsInf(norm, 0) {
		return nil
	}
	if err := own.Finite(); err != nil {
		return fmt.Errorf("its update: %w; a smaller learning rate, or a limit of the gradients' norm, may help; missing values in its rows do this too", err)
	}
	return errors.New("its update is too long: its norm is no number any more; a smaller learning rate may help")
}

// lessBase is a local model less its base, in what the base shares.
func lessBase(base, local *model.Model) (*model.Model, error) {
	if local == nil || !local.Schema.Equal(base.Schema) {
		return nil, fmt.Errorf("%w: the trainer returned other tensors than it was given", model.ErrSchema)
	}
	if err := local.Check(); err != nil {
		return nil, err
	}
	out := model.New(base.Schema.Shared())
	for _, spec := range out.Schema {
		var err error
		if spec.DType == model.F32 {
			err = less(spec.Name, out.SetFloat32s, local.Float32s, base.Float32s)
		} else {
			err = less(spec.Name, out.SetFloat64s, local.Float64s, base.Float64s)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// less puts the values of one tensor less those of another, in their own type.
func less[T float32 | float64](name string, put func(string, []T) error, of, by func(string) ([]T, error)) error {
	a, err1 := of(name)
	b, err2 := by(name)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for i := range a {
		a[i] -= b[i]
	}
	return put(name, a)
}

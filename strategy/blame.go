package strategy

import (
	"errors"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// averaged reports a tensor that cannot be averaged, or whose values are no
// numbers to start from, and what to do about it.
func averaged(spec model.Spec, values []byte) error {
	keep := fmt.Sprintf(`leave it as it is, never averaged: {%.80q: "keep"} as the metadata fedmq.rules of the file (rules= of fedmq_trainer)`, spec.Name)
	if spec.Rule != model.Mean || !fold.Summed(spec.DType) {
		return fmt.Errorf("%w: tensor %.80q is %v with the rule %v; f32 and f64 with the rule mean are averaged. Make it one of these, or %s",
			ErrUnsupported, spec.Name, spec.DType, spec.Rule, keep)
	}
	odd := fold.FirstNotFinite(values, spec.DType)
	if odd == nil {
		return nil
	}
	return fmt.Errorf("strategy: %w; a mean begins with finite values. Or %s", named(spec, 0, odd), keep)
}

// blame says which value of an update cannot be added, and what would help.
func (v *Values) blame(spec model.Spec, first int, err error) error {
	var odd *fold.ValueError
	switch {
	case !errors.As(err, &odd):
		return fmt.Errorf("tensor %.80q: %w", spec.Name, err)
	case errors.Is(err, fold.ErrNotFinite):
		return fmt.Errorf("%w; training diverged? A smaller learning rate, or a limit of the gradients' norm", named(spec, first, err))
	}
	frac, need := math.Frexp(math.Abs(odd.Value))
	if frac == 0.5 {
		need--
	}
	if need > mostGridB {
		return fmt.Errorf("%w = 2^%d; scale features (statistics: zscore) and target (scale), the largest grid_b is %d", named(spec, first, err), v.grid.B, mostGridB)
	}
	return fmt.Errorf("%w = 2^%d; strategy: {grid_b: %d} would take it, or scale features (statistics: zscore) and target (scale)", named(spec, first, err), v.grid.B, need)
}

// mostGridB is the largest b of a grid (F-1).
const mostGridB = 24

// named says which value of which tensor an error of package fold means; first
// is the place in the tensor of the first value that was checked.
func named(spec model.Spec, first int, err error) error {
	var v *fold.ValueError
	if !errors.As(err, &v) {
		return fmt.Errorf("tensor %.80q: %w", spec.Name, err)
	}
	text := fmt.Sprintf("tensor %.80q: value %v is %g", spec.Name, spec.Place(first+v.Index), v.Value)
	if errors.Is(v, fold.ErrOutOfRange) {
		text += fmt.Sprintf(", at most %g", v.Limit)
	}
	return &valueError{text, v}
}

// valueError tells of a value in other words than its cause.
type valueError struct {
	text  string
	cause error
}

func (e *valueError) Error() string { return e.text }
func (e *valueError) Unwrap() error { return e.cause }

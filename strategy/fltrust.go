package strategy

import (
	"fmt"
	"math"

	"github.com/fedmq/fedmq/model"
)

// trust is FLTrust: an update counts as much as it points where the aggregator's own one
// does, TS_k = max(0, cos(delta_k, root)), and is as long as that one.
type trust struct{ Linear }

var flTrust = trust{Linear{ID: "fltrust", About: About{
	Summary: "updates count by how much they point where the aggregator's own does, which it trains on rows that are known to be good (`root`), and are made as long as that",
	Paper:   "Cao et al. 2020, https://arxiv.org/abs/2012.13995",
}}}

// Rooted is [Rooted].
func (trust) Rooted() {}

// Weightings are uniform: how many rows a site claims says nothing of it.
func (trust) Weightings() []string { return []string{"uniform"} }

// Begin starts an attempt.
func (s trust) Begin(r Round, before Fold) (Fold, error) {
	by := trusting{root: r.Root}
	if r.Root != nil {
		by.long = Norm(r.Root)
		if shared := r.Base.Schema.Shared(); !r.Root.Schema.Equal(shared) {
			return nil, fmt.Errorf("%w: the aggregator's own update has other tensors than the base shares", model.ErrSchema)
		}
	}
	l := s.Linear
	l.Coefficient = func(u Update) (float64, error) {
		_, c, err := by.of(u)
		return c, err
	}
	if f, ok := before.(flat); ok {
		before = f.Fold
	}
	f, err := summed{
		of: func(u Update) (float64, error) {
			score, _, err := by.of(u)
			return score, err
		},
		scale: func(total, weight float64) float64 { return weight / total },
	}.begin(l, r, before)
	return flat{f}, err
}

// flat is a fold of one aggregator: others of a tree have no update of its own.
type flat struct{ Fold }

// trusting is by what updates of an attempt are held.
type trusting struct {
	root *model.Model
	long float64 // its norm
}

// of is the trust score of an update, and what its values are multiplied by.
func (t trusting) of(u Update) (score, by float64, err error) {
	if t.root == nil || u.Tensors == nil || !u.Tensors.Schema.Equal(t.root.Schema) || u.Tensors.Check() != nil {
		return 0, 0, fmt.Errorf("%w: there is no update of the aggregator's own to hold it against", ErrOutOfRange)
	}
	norm := u.Norm
	if !u.measured {
		norm = Norm(u.Tensors)
	}
	if norm == 0 || t.long == 0 {
		return 0, 0, nil
	}
	score = max(0, dot(u.Tensors, t.root)/norm/t.long)
	if math.IsNaN(score) || math.IsInf(norm, 0) {
		return 0, 0, fmt.Errorf("%w: its norm is %v", ErrNotFinite, norm)
	}
	score = min(score, 1)
	by = float64(score*t.long) / norm
	if u.Clip != 0 {
		by /= u.Clip // which the fold multiplies by: it is as long as the other one anyway
	}
	return score, by, nil
}

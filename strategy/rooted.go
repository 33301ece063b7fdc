package strategy

import (
	"cmp"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// Rooted is a strategy that holds updates against one of the aggregator's own: before a
// round's updates are taken, its trainer trains the base on rows that are known to be good.
type Rooted interface {
	Strategy
	Rooted()
}

// Rooted reports whether the strategy of a setup wants a [Round.Root]. Errors wrap
// [ErrUnknown] or [ErrSetting].
func (g Registry) Rooted(of Setup) (bool, error) {
	if !WorkOf(of.Work).Weighs {
		return false, nil
	}
	s, _, err := g.strategy(cmp.Or(of.Strategy, FedAvg), of.Params)
	_, ok := s.(Rooted)
	return ok && err == nil, err
}

// dot is the sum of the products of two updates' values over all their f32 and f64 tensors
// together, in schema order, one accumulator. Their schemas are the same.
func dot(a, b *model.Model) float64 {
	sum, at := 0.0, 0
	for _, spec := range a.Schema {
		x, y := make([]float64, min(block, spec.Elements())), make([]float64, min(block, spec.Elements()))
		size := spec.DType.Size()
		for left := spec.Elements(); left > 0; {
			n := min(left, block)
			fold.Values(x[:n], a.Blob[at:], spec.DType)
			fold.Values(y[:n], b.Blob[at:], spec.DType)
			for i := range n {
				sum += float64(x[i] * y[i])
			}
			left, at = left-n, at+n*size
		}
	}
	return sum
}

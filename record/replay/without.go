package replay

import (
	"fmt"
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
)

// WhatIf is a round of training that was made again as if one of its updates had not been
// accepted: on the same base, with everything else that the record says.
type WhatIf struct {
	Member string
	Model  *model.Model // after the round
	Step   float64      // L2 distance of the round's own model from its base
	Moved  float64      // of this model from the round's own
	Why    string       // why it could not be made; "" where it was
}

// withouts makes a round again without each of the members that are asked for and were
// counted; made is the round's own result, nil where its updates were not kept.
func (p *Replay) withouts(r record.Record, made *strategy.Result) (out []WhatIf, err error) {
	if p.cfg.Without == nil || !r.Trained() {
		return nil, nil
	}
	for _, member := range p.cfg.Without(r) {
		i := slices.IndexFunc(r.Entries, func(e record.Entry) bool { return e.Member == member && e.Verdict == verdict.Counted })
		if i < 0 {
			continue
		}
		w := WhatIf{Member: member}
		if made == nil {
			w.Why = "the updates of the round were not all kept, or its base was not (keep_updates: all)"
		} else if err := p.without(&w, r, i, made); err != nil {
			return nil, err
		}
		out = append(out, w)
	}
	return out, nil
}

// without fills in what comes of a round without one of its entries.
func (p *Replay) without(w *WhatIf, r record.Record, i int, made *strategy.Result) error {
	r.Entries = slices.Delete(slices.Clone(r.Entries), i, i+1)
	least, err := p.cfg.Strategies.MinimumOf(r.Strategy.Name, strategy.Settings(r.Strategy.Params))
	if err != nil {
		return differ("%v", err)
	}
	if n := r.Counts()[verdict.Counted.String()]; n < least {
		w.Why = fmt.Sprintf("%d updates are left, the strategy %s takes %d or more", n, r.Strategy.Name, least)
		return nil
	}
	f := folding{p: p, r: r}
	if err := f.begin(); err != nil {
		return err
	}
	whole, err := f.updates()
	switch {
	case err != nil:
		return err
	case !whole:
		return errGone
	}
	f.fold.Refused(r.Counts()[verdict.NormOutlier.String()])
	other, err := f.fold.Result(f.all(), nil)
	if f.unread != nil {
		return f.unread
	}
	if err != nil {
		w.Why = err.Error()
		return nil //nolint:nilerr // that there is no such round is what was asked
	}
	w.Model, w.Step, w.Moved = other.Model, distance(made.Model, p.model), distance(other.Model, made.Model)
	return nil
}

// distance is L2, over all values that are averaged.
func distance(a, b *model.Model) float64 {
	sum := 0.0
	for _, spec := range a.Schema.Shared() {
		if !fold.Summed(spec.DType) {
			continue
		}
		x, y := make([]float64, spec.Elements()), make([]float64, spec.Elements())
		fold.Values(x, a.Bytes(spec.Name), spec.DType)
		fold.Values(y, b.Bytes(spec.Name), spec.DType)
		for j := range x {
			d := x[j] - y[j]
			sum += float64(d * d)
		}
	}
	return math.Sqrt(sum)
}

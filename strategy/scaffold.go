package strategy

import (
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// scaffold is SCAFFOLD: control variates take out of every local step how a site's rows
// differ from all rows. A site adds c - c_i to its gradients, and tells how its c_i has
// changed; c follows the mean of that. Control variates are tensors of the model.
type scaffold struct {
	Linear
	eta float64
}

var scaffolded = scaffold{Linear: Linear{ID: "scaffold", About: About{
	Summary: "the mean of the updates of sites that correct every step for how their rows differ from all", Paper: "Karimireddy et al. 2019, https://arxiv.org/abs/1910.06378",
}}}

// Params has the rate.
func (scaffold) Params() []Param {
	return []Param{{Name: "eta_g", Default: 1., Max: 2, Above: true, Doc: "rate of the mean update"}}
}

// Configure is [Configurable].
func (s scaffold) Configure(set Settings) (Strategy, error) {
	s.eta = set.Number("eta_g")
	return s, nil
}

// Weightings is uniform.
func (scaffold) Weightings() []string { return []string{"uniform"} }

// Local is [Steering].
func (scaffold) Local() Local {
	return Local{Needs: []string{trainer.NeedCorrection, trainer.NeedSGD, trainer.NeedSteps}}
}

// Begin starts an attempt.
func (s scaffold) Begin(r Round, before Fold) (Fold, error) {
	v, err := NewValues(r)
	if err != nil {
		return nil, err
	}
	if !r.Base.Schema.HasControls() {
		return nil, fmt.Errorf("%w: the model has no control variates, which a task under scaffold begins with: another name for the task begins one", ErrUnsupported)
	}
	f := &controlled{of: s, round: r, averaged: v.shared}
	if v.shared, err = r.Base.Schema.Controlled(); err != nil {
		return nil, err
	}
	var old *linear
	if c, ok := before.(*controlled); ok {
		old = c.linear
	}
	f.linear = newLinear(v, nil, old)
	return f, nil
}

// controlled is the fold of [scaffold]: one over update and change of control variates.
type controlled struct {
	*linear
	of       scaffold
	round    Round
	averaged model.Schema
}

// Averaged are the tensors that the mean update is over.
func (f *controlled) Averaged() model.Schema { return f.averaged }

// Take leaves an update to Check, which looks at its scalars.
func (f *controlled) Take(Update, float64, View) (norm float64, taken bool, err error) {
	return 0, false, nil
}

func (f *controlled) Check(u Update) error {
	err := f.linear.Check(u)
	if rank(err) > 1 {
		return err
	}
	for _, name := range []string{trainer.ScalarSteps, trainer.ScalarLR} {
		if _, bad := scalar(u, name, math.SmallestNonzeroFloat64, math.MaxFloat64); rank(bad) > rank(err) {
			err = bad
		}
	}
	return err
}

func (f *controlled) Finish(_ *Updates, out *Output) error {
	if f.weight() == 0 {
		return ErrEmpty
	}
	c, at, first := f.controls(), 0, 0
	mean := make([]float64, block)
	for i, spec := range f.shared {
		sum := f.sums[i]
		for from := 0; from < sum.Len(); from += block {
			part := mean[:min(block, sum.Len()-from)]
			sum.Mean(part, from)
			if model.IsControl(spec.Name) {
				f.follow(c[at+from:], part, sum.Members())
				continue
			}
			for j := range part {
				part[j] = float64(f.of.eta * part[j])
			}
			out.Mean(first+from, part)
		}
		if !model.IsControl(spec.Name) {
			first += sum.Len()
			continue
		}
		if err := put(out.Next, spec, c[at:at+sum.Len()]); err != nil {
			return err
		}
		at += sum.Len()
	}
	kept := make([]byte, 8*len(c))
	fold.PutValues(kept, model.F64, c)
	out.Carry(kept)
	return nil
}

// follow moves c along the mean change of the members' own: c + (S/M) mean.
func (f *controlled) follow(c, mean []float64, members int) {
	share := float64(members) / float64(max(f.round.Enrolled, members))
	for i, m := range mean {
		c[i] += float64(share * m)
	}
}

// controls are c as the round before has left it, in the order of the schema: as the
// base has it in the first one.
func (f *controlled) controls() (c []float64) {
	for _, spec := range f.shared {
		if model.IsControl(spec.Name) {
			x := make([]float64, spec.Elements())
			fold.Values(x, f.round.Base.Bytes(spec.Name), spec.DType)
			c = append(c, x...)
		}
	}
	if kept := f.round.Carried; len(kept) == 8*len(c) {
		fold.Values(c, kept, model.F64)
	}
	return c
}

// put writes control variates into the next model, rounded to their type.
func put(next *model.Model, spec model.Spec, c []float64) error {
	b := next.Bytes(spec.Name)
	fold.PutValues(b, spec.DType, c)
	if odd := fold.FirstNotFinite(b, spec.DType); odd != nil {
		return fmt.Errorf("control variates overflow: %w", named(spec, 0, odd))
	}
	return nil
}

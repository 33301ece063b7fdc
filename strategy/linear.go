package strategy

import (
	"cmp"
	"fmt"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// Linear is a strategy whose mean update is sum(n_k s_k delta_k) / sum(n_k),
// with n_k the weight of update k and delta_k as the guard leaves it. It is streamed: 8 bytes a parameter beside
// the base, whatever the number of members. With s_k = 1 it is federated
// averaging, McMahan et al. 2017, https://arxiv.org/abs/1602.05629
type Linear struct {
	ID string
	// Coefficient returns s_k >= 0 from the update alone, the same each time;
	// nil: 1. An error is the verdict, and wraps [ErrNotFinite] or [ErrOutOfRange].
	Coefficient func(Update) (float64, error)

	About About // for people; its Name and Params are not read
}

// fedAvg is federated averaging.
var fedAvg = Linear{ID: FedAvg, About: About{
	Kind: KindLinear, Summary: "the mean of the updates, by weight", Paper: "McMahan et al. 2017, https://arxiv.org/abs/1602.05629",
}}

// Kind is what About says, and linear where it says nothing.
func (l Linear) Kind() string { return cmp.Or(l.About.Kind, KindLinear) }

// Summary is About's.
func (l Linear) Summary() string { return l.About.Summary }

// Paper is About's.
func (l Linear) Paper() string { return l.About.Paper }

// Name is the ID.
func (l Linear) Name() string { return l.ID }

// Begin starts an attempt.
func (l Linear) Begin(r Round, before Fold) (Fold, error) {
	v, err := NewValues(r)
	if err != nil {
		return nil, err
	}
	old, _ := before.(*linear)
	return newLinear(v, l.Coefficient, old), nil
}

// linear is the fold of a [Linear].
type linear struct {
	*Values
	of   func(Update) (float64, error)
	sums []*fold.Sum // by tensor; made with the first update
}

// newLinear is the fold over values. It takes over the memory of one before, nil for none,
// whose tensors are the same.
func newLinear(v *Values, of func(Update) (float64, error), before *linear) *linear {
	f := &linear{Values: v, of: of}
	if before != nil && before.shared.Equal(v.shared) {
		f.sums = before.sums
	}
	for _, s := range f.sums {
		s.Reset(v.grid)
	}
	return f
}

// made returns the sums.
func (f *linear) made() []*fold.Sum {
	if f.sums == nil {
		f.sums = make([]*fold.Sum, len(f.shared))
		for i, spec := range f.shared {
			f.sums[i] = fold.NewSum(f.grid, spec.DType, spec.Elements())
		}
	}
	return f.sums
}

// coefficient is n_k s_k, rounded (F-2). It may look at all values of the update.
func (f *linear) coefficient(u Update) (c float64, err error) {
	c = float64(u.Weight)
	if f.of != nil {
		var s float64
		s, err = f.of(u)
		c = float64(c * s)
	}
	return c, err
}

// clipped is a coefficient times what the guard clips by, rounded again (F-2). That of
// control variates is clipped by itself.
func (u Update) clipped(c float64, control bool) float64 {
	clip := u.Clip
	if control {
		clip = u.looked[1].clip
	}
	if clip == 0 {
		return c
	}
	return float64(c * clip)
}

func (f *linear) Check(u Update) error {
	c, bad := f.coefficient(u)
	if bad != nil {
		c = 0 // the values are looked at all the same: what is not finite is told first
	}
	err := f.check(u, u.clipped(c, false))
	switch {
	case err != nil && rank(err) >= rank(bad):
		return err
	case bad != nil:
		return bad
	case u.Weight > f.room():
		return fmt.Errorf("%w: the weight %d, there is room for %d", ErrFull, u.Weight, f.room())
	}
	return nil
}

// room is the weight that fits.
func (f *linear) room() uint64 { return 1<<f.grid.W - f.weight() }

func (f *linear) weight() uint64 {
	if len(f.sums) == 0 {
		return 0
	}
	return f.sums[0].Weight()
}

func (f *linear) Add(u Update) {
	c, _ := f.coefficient(u) // checked
	rest := u.Tensors.Blob
	for i, s := range f.made() {
		n := f.shared[i].Bytes()
		s.Add(rest[:n], u.Weight, u.clipped(c, model.IsControl(f.shared[i].Name)))
		rest = rest[n:]
	}
}

func (f *linear) NeedsAll() bool { return false }

func (f *linear) Finish(_ *Updates, out *Output) error {
	if f.weight() == 0 {
		return ErrEmpty
	}
	f.means(out, 1)
	return nil
}

// means gives the mean update times a scale to out.
func (f *linear) means(out *Output, scale float64) {
	first := 0
	for _, s := range f.sums {
		fold.Each(s.Len(), func(lo, hi int) bool {
			mean := make([]float64, min(16*block, hi-lo))
			for at := lo; at < hi; at += 16 * block {
				part := mean[:min(16*block, hi-at)]
				s.Mean(part, at)
				if scale != 1 {
					for i := range part {
						part[i] = float64(part[i] * scale)
					}
				}
				out.Mean(first+at, part)
			}
			return true
		})
		first += s.Len()
	}
}

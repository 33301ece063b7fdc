package strategy

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// guarding is a guard in one attempt: by what it goes, and what it has counted of the
// updates that were added. Counts and sorted norms do not depend on who came first.
type guarding struct {
	Guard
	z, most float64 // no limit: +Inf
	clip    float64 // likewise

	added, within, short int       // updates; with all values within z; with a norm within C
	norms                []float64 // of those added, where C is to come of them
	refused              int
}

// guarding is the guard of an attempt.
func (s Setup) guarding() (*guarding, error) {
	g, err := GuardOf(s.Guard)
	if err != nil {
		return nil, err
	}
	return g.begin(s.Thresholds)
}

// begin takes the thresholds of a round. Those of another guard are an error.
func (g Guard) begin(thresholds map[string]float64) (*guarding, error) {
	a := &guarding{Guard: g, z: math.Inf(1), most: math.Inf(1), clip: math.Inf(1)}
	var ok bool
	if g.Zero != nil {
		if a.z, ok = thresholds[thresholdZ]; !ok || a.z < least || thresholds[thresholdMost] != g.Zero.most(a.z) {
			return nil, fmt.Errorf("%w: the guard's thresholds are %v, want z, and Z that follows from it", ErrOutOfRange, thresholds)
		}
		a.most = thresholds[thresholdMost]
	}
	if c, ok := thresholds[thresholdClip]; ok && g.Clip != nil {
		if c < least {
			return nil, fmt.Errorf("%w: the guard's threshold C is %v", ErrOutOfRange, c)
		}
		a.clip = c
	}
	return a, nil
}

// measure fills in what the guard says of an update with tensors.
func (g *guarding) measure(u Update) Update {
	if u.measured || u.Tensors == nil || u.Tensors.Check() != nil { // which the fold tells of
		return u
	}
	u.Norm, u.most = normMost(u.Tensors)
	u.Clip, u.measured = g.scale(u.Norm), true
	return u
}

// scale is with what an update of this norm is multiplied, 0 for none that is clipped.
func (g *guarding) scale(norm float64) float64 {
	if norm > g.clip {
		return float64(g.clip / norm)
	}
	return 0
}

// check refuses a monster.
func (g *guarding) check(u Update) error {
	if !(u.most > g.most) {
		return nil
	}
	rest := u.Tensors.Blob
	for _, spec := range u.Tensors.Schema {
		if err := g.blame(spec, rest[:spec.Bytes()]); err != nil {
			return err
		}
		rest = rest[spec.Bytes():]
	}
	return nil
}

// blame names the first value of a tensor that is beyond what the round takes.
func (g *guarding) blame(spec model.Spec, x []byte) error {
	var v [1]float64
	for i := range spec.Elements() {
		fold.Values(v[:], x[i*spec.DType.Size():], spec.DType)
		if math.Abs(v[0]) > g.most {
			return fmt.Errorf("%w: tensor %.80q: value %v is %g, at most %g in this round (Z of the guard); "+
				"training diverged? If it is right: strategy: {guard: {zero: {initial: %g}}}", ErrOutlier, spec.Name, spec.Place(i), v[0], g.most, math.Ceil(math.Abs(v[0])))
		}
	}
	return nil
}

// count notes an update that was added.
func (g *guarding) count(u Update) {
	g.added++
	if u.most <= g.z {
		g.within++
	}
	if u.Norm <= g.clip {
		g.short++
	}
	if g.Clip != nil && math.IsInf(g.clip, 1) {
		g.norms = append(g.norms, u.Norm)
	}
}

// left is what the round leaves for the next one, nil for nothing.
func (g *guarding) left() []byte {
	if g.Guard == (Guard{}) {
		return nil
	}
	return g.next().bytes()
}

// next is that in numbers (F-21).
func (g *guarding) next() guardState {
	s := guardState{beta: -1}
	if g.Zero != nil {
		s.z, s.beta = g.nextZ()
	}
	switch {
	case g.Clip == nil:
	case g.Clip.fixed():
		s.clip = g.Clip.Initial
	case !math.IsInf(g.clip, 1):
		s.clip = follow(g.clip, g.Clip.Rate, float64(g.short)/float64(max(g.added, 1)), g.Clip.Quantile)
	case len(g.norms) > 0:
		slices.Sort(g.norms)
		s.clip = g.norms[int(math.Ceil(float64(g.Clip.Quantile*float64(g.added))-1e-9))-1]
	}
	return s
}

// nextZ is z after the round, and the share that it comes from. What was refused counts
// as beyond z, but alone it does not raise z above the first Z: else who sends monsters
// round for round would let them in.
func (g *guarding) nextZ() (z, beta float64) {
	beta = float64(g.within) / float64(max(g.added+g.refused, 1))
	z = follow(g.z, g.Zero.Rate, beta, g.Zero.Quantile)
	if g.within == g.added {
		z = min(z, max(g.z, g.Zero.most(g.Zero.Initial)))
	}
	return z, beta
}

// normMost is the L2 norm of an update over all its f32 and f64 tensors together, in
// schema order, one accumulator, and the largest absolute value. The second stands in the
// shadow of the first.
func normMost(m *model.Model) (norm, most float64) {
	sum, top := 0.0, uint64(0)
	rest := m.Blob
	for _, spec := range m.Schema {
		b := rest[:spec.Bytes()]
		rest = rest[len(b):]
		switch spec.DType {
		case model.F32:
			bits := uint32(0)
			for ; len(b) >= 4; b = b[4:] {
				v := binary.LittleEndian.Uint32(b)
				bits = max(bits, v&(1<<31-1))
				x := float64(math.Float32frombits(v))
				sum += float64(x * x)
			}
			top = max(top, math.Float64bits(float64(math.Float32frombits(bits))))
		case model.F64:
			for ; len(b) >= 8; b = b[8:] {
				v := binary.LittleEndian.Uint64(b)
				top = max(top, v&(1<<63-1))
				x := math.Float64frombits(v)
				sum += float64(x * x)
			}
		}
	}
	return math.Sqrt(sum), math.Float64frombits(top)
}

// Norm is the L2 norm of an update over all its f32 and f64 tensors together,
// in schema order, one accumulator: the norm of an entry in the record.
func Norm(m *model.Model) float64 {
	norm, _ := normMost(m)
	return norm
}

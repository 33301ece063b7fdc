package strategy

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// guarding is a guard in one attempt.
type guarding struct {
	Guard
	tracks         []track // of the update; where they are judged by themselves, of control variates
	added, refused int     // updates
}

// track is by what the guard goes, and what it has counted of the updates that were added.
// Counts and sorted norms do not depend on who came first.
type track struct {
	z, most float64 // no limit: +Inf
	clip    float64 // likewise

	within, short int       // with all values within z; with a norm within C
	norms         []float64 // where C is to come of them
}

// looked is what a look at the tensors of a track has found.
type looked struct {
	norm, most float64 // L2; largest absolute value, or a bound of it within z
	clip       float64 // 0: none
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
	a := &guarding{Guard: g}
	for _, of := range g.of() {
		t := track{z: math.Inf(1), most: math.Inf(1), clip: math.Inf(1)}
		var ok bool
		if g.Zero != nil {
			if t.z, ok = thresholds[of+thresholdZ]; !ok || t.z < least || thresholds[of+thresholdMost] != g.Zero.most(t.z) {
				return nil, fmt.Errorf("%w: the guard's thresholds are %v, want %sz, and %[3]sZ that follows from it", ErrOutOfRange, thresholds, of)
			}
			t.most = thresholds[of+thresholdMost]
		}
		if c, ok := thresholds[of+thresholdClip]; ok && g.Clip != nil {
			if c < least {
				return nil, fmt.Errorf("%w: the guard's threshold %sC is %v", ErrOutOfRange, of, c)
			}
			t.clip = c
		}
		a.tracks = append(a.tracks, t)
	}
	return a, nil
}

// measure fills in what the guard says of an update with tensors.
func (g *guarding) measure(u Update) Update {
	if u.measured || u.Tensors == nil || u.Tensors.Check() != nil { // which the fold tells of
		return u
	}
	u.measured = true
	if len(g.tracks) == 1 {
		u.looked[0].norm, u.looked[0].most = normMost(u.Tensors, nil)
		u.Norm = u.looked[0].norm
	} else {
		u.Norm = Norm(u.Tensors)
		for i := range g.tracks {
			u.looked[i].norm, u.looked[i].most = normMost(u.Tensors, g.in(i))
		}
	}
	for i, t := range g.tracks {
		u.looked[i].clip = t.scale(u.looked[i].norm)
	}
	u.Clip = u.looked[0].clip
	return u
}

// in reports whether a tensor is of a track, nil for a guard with one.
func (g *guarding) in(i int) func(name string) bool {
	if len(g.tracks) == 1 {
		return nil
	}
	return func(name string) bool { return model.IsControl(name) == (i == 1) }
}

// scale is with what an update of this norm is multiplied, 0 for none that is clipped.
func (t track) scale(norm float64) float64 {
	if norm > t.clip {
		return float64(t.clip / norm)
	}
	return 0
}

// check refuses a monster.
func (g *guarding) check(u Update) error {
	for i, t := range g.tracks {
		if !(u.looked[i].most > t.most) {
			continue
		}
		in, rest := g.in(i), u.Tensors.Blob
		for _, spec := range u.Tensors.Schema {
			x := rest[:spec.Bytes()]
			rest = rest[len(x):]
			if in != nil && !in(spec.Name) {
				continue
			}
			if err := t.blame(spec, x); err != nil {
				return err
			}
		}
	}
	return nil
}

// blame names the first value of a tensor that is beyond what the round takes.
func (t track) blame(spec model.Spec, x []byte) error {
	var v [1]float64
	for i := range spec.Elements() {
		fold.Values(v[:], x[i*spec.DType.Size():], spec.DType)
		if math.Abs(v[0]) > t.most {
			return fmt.Errorf("%w: tensor %.80q: value %v is %g, at most %g in this round (Z of the guard); "+
				"training diverged, or features are not scaled (statistics: zscore)? If it is right: strategy: {guard: {zero: {initial: %g}}}", ErrOutlier, spec.Name, spec.Place(i), v[0], t.most, math.Ceil(math.Abs(v[0])))
		}
	}
	return nil
}

// count notes an update that was added.
func (g *guarding) count(u Update) {
	g.added++
	for i := range g.tracks {
		t, l := &g.tracks[i], u.looked[i]
		if l.most <= t.z {
			t.within++
		}
		if l.norm <= t.clip {
			t.short++
		}
		if g.Clip != nil && math.IsInf(t.clip, 1) {
			t.norms = append(t.norms, l.norm)
		}
	}
}

// left is what the round leaves for the next one, nil for nothing.
func (g *guarding) left() (b []byte) {
	if g.none() {
		return nil
	}
	for i := range g.tracks {
		b = append(b, g.next(&g.tracks[i]).bytes()...)
	}
	return b
}

// next is that of a track, in numbers (F-21).
func (g *guarding) next(t *track) guardState {
	s := guardState{beta: -1}
	if g.Zero != nil {
		s.z, s.beta = g.nextZ(t)
	}
	switch {
	case g.Clip == nil:
	case g.Clip.fixed():
		s.clip = g.Clip.Initial
	case !math.IsInf(t.clip, 1):
		s.clip = follow(t.clip, g.Clip.Rate, float64(t.short)/float64(max(g.added, 1)), g.Clip.Quantile)
	case len(t.norms) > 0:
		slices.Sort(t.norms)
		s.clip = t.norms[int(math.Ceil(float64(g.Clip.Quantile*float64(g.added))-1e-9))-1]
	}
	return s
}

// nextZ is z after the round, and the share that it comes from. What was refused counts
// as beyond z, but alone it does not raise z above the first Z: else who sends monsters
// round for round would let them in.
func (g *guarding) nextZ(t *track) (z, beta float64) {
	beta = float64(t.within) / float64(max(g.added+g.refused, 1))
	z = follow(t.z, g.Zero.Rate, beta, g.Zero.Quantile)
	if t.within == g.added {
		z = min(z, max(t.z, g.Zero.most(g.Zero.Initial)))
	}
	return z, beta
}

// normMost is the L2 norm of an update over its f32 and f64 tensors together, all or those
// whose names are in, in schema order, one accumulator, and the largest absolute value. The
// second stands in the shadow of the first.
func normMost(m *model.Model, in func(name string) bool) (norm, most float64) {
	sum, top := 0.0, uint64(0)
	rest := m.Blob
	for _, spec := range m.Schema {
		b := rest[:spec.Bytes()]
		rest = rest[len(b):]
		if in != nil && !in(spec.Name) {
			continue
		}
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
	norm, _ := normMost(m, nil)
	return norm
}

package strategy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/internal/exact"
	"github.com/fedmq/fedmq/model"
)

// ErrOutlier means an update with a value beyond the guard's threshold of the round.
var ErrOutlier = errors.New("strategy: norm_outlier")

// Guard stands between the updates of training and any strategy (F-21): it refuses
// monsters, and shortens what is too long. The zero value does neither. What it goes by
// are numbers that follow the updates from round to round (Andrew et al. 2019,
// https://arxiv.org/abs/1905.03871): nobody has to guess how many sites attack.
type Guard struct {
	Zero *Zeroing  // nil: nothing is refused
	Clip *Clipping // nil: nothing is shortened

	// Controls judges the change of control variates by itself, with numbers of its own.
	Controls bool
}

// Zeroing refuses an update with an absolute value beyond Multiplier*z + Increment,
// where z begins with Initial and goes where the share Quantile of updates is within it.
type Zeroing struct {
	Initial    float64 // above 0, at most 1e6
	Quantile   float64 // 0.5 to 1
	Rate       float64 // 0.01 to 10
	Multiplier float64 // 1 to 100
	Increment  float64 // 0 to 1e6
}

// Clipping scales an update whose norm is above C down to it. C goes where the share
// Quantile of updates is within it, or stays what it is.
type Clipping struct {
	Initial  float64 // of C, 0.01 to 1e6; 0: the first round clips nothing and gives it
	Quantile float64 // 0.5 to 0.99; 0 where C stays
	Rate     float64 // 0.01 to 1; 0: C stays Initial
}

// DefaultGuard is that of a task which says nothing of one: zeroing.
func DefaultGuard() Guard { return Guard{Zero: DefaultZeroing()} }

// DefaultZeroing has the settings that a task need not say.
func DefaultZeroing() *Zeroing {
	return &Zeroing{Initial: 10, Quantile: 0.98, Rate: math.Ln10, Multiplier: 2, Increment: 1}
}

// DefaultClipping likewise.
func DefaultClipping() *Clipping { return &Clipping{Quantile: 0.8, Rate: 0.2} }

// The thresholds of a guard, by their names in order and record.
const (
	thresholdZ    = "z"    // the quantile's estimate
	thresholdMost = "Z"    // no value is beyond it
	thresholdBeta = "beta" // share of the round before that was within its z; from the second round on
	thresholdClip = "C"    // no norm is above it
)

// least is the smallest positive float32: below it a threshold says nothing any more, and
// at 0 it would stay there.
const least = 0x1p-149

// setting is one number of a guard.
type setting struct {
	name   string
	at     *float64
	lo, hi float64
}

func (z *Zeroing) settings() []setting {
	return []setting{
		{"zero.initial", &z.Initial, least, 1e6},
		{"zero.quantile", &z.Quantile, 0.5, 1},
		{"zero.rate", &z.Rate, 0.01, 10},
		{"zero.multiplier", &z.Multiplier, 1, 100},
		{"zero.increment", &z.Increment, 0, 1e6},
	}
}

func (c *Clipping) settings() (list []setting) {
	if c.Initial != 0 || c.fixed() {
		list = append(list, setting{"clip.initial", &c.Initial, 0.01, 1e6})
	}
	if !c.fixed() {
		list = append(list, setting{"clip.quantile", &c.Quantile, 0.5, 0.99}, setting{"clip.rate", &c.Rate, 0.01, 1})
	}
	return list
}

func (c *Clipping) fixed() bool { return c.Rate == 0 && c.Quantile == 0 }

func (g Guard) settings() (list []setting) {
	if g.Zero != nil {
		list = g.Zero.settings()
	}
	if g.Clip != nil {
		list = append(list, g.Clip.settings()...)
	}
	return list
}

// Check reports a setting out of its range.
func (g Guard) Check() error {
	for _, s := range g.settings() {
		if !(*s.at >= s.lo && *s.at <= s.hi) {
			return fmt.Errorf("guard: %s is %v, want %v to %v", s.name, *s.at, s.lo, s.hi)
		}
	}
	return nil
}

// none reports that the guard does nothing.
func (g Guard) none() bool { return g.Zero == nil && g.Clip == nil }

// Values are the settings as orders of the machine and records have them; nil for a
// guard that does nothing.
func (g Guard) Values() map[string]float64 {
	if g.none() {
		return nil
	}
	v := map[string]float64{}
	for _, s := range g.settings() {
		v[s.name] = *s.at
	}
	if g.Controls {
		v[settingControls] = 1
	}
	return v
}

// settingControls stands for [Guard.Controls], as 1.
const settingControls = "controls"

// GuardOf is the guard with these [Guard.Values]. Errors say what no guard has.
func GuardOf(values map[string]float64) (g Guard, err error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch kind, _, _ := strings.Cut(name, "."); kind {
		case settingControls:
			g.Controls = true
		case "zero":
			g.Zero = &Zeroing{}
		case "clip":
			g.Clip = &Clipping{Initial: values["clip.initial"], Quantile: values["clip.quantile"], Rate: values["clip.rate"]}
		default:
			return Guard{}, fmt.Errorf("guard: unknown setting %.64q", name)
		}
	}
	list := g.settings()
	for _, s := range list {
		*s.at = values[s.name]
	}
	if !maps.Equal(values, g.Values()) {
		return Guard{}, fmt.Errorf("guard: the settings %v, want all of %v and no others", slices.Sorted(maps.Keys(values)), names(list))
	}
	return g, g.Check()
}

func names(list []setting) (names []string) {
	for _, s := range list {
		names = append(names, s.name)
	}
	return names
}

// guardState is what a guard keeps from round to round: z and C, 0 for none, and the
// share that z comes from, below 0 for none. There is another of control variates.
type guardState struct{ z, clip, beta float64 }

// of names what is judged by itself, as a threshold's name begins.
func (g Guard) of() []string {
	if g.Controls {
		return []string{"", "c."}
	}
	return []string{""}
}

// guardPart is the name of its part of a state (F-17).
const guardPart = "guard"

// begun is what a guard goes by after rounds that have left a state.
func (g Guard) begun(state []byte) ([]guardState, error) {
	_, _, p, err := parts(state)
	if err != nil {
		return nil, err
	}
	kept, err := guardStatesOf(p)
	if err != nil {
		return nil, err
	}
	list := make([]guardState, len(g.of()))
	for i := range list {
		if list[i].beta = -1; i < len(kept) {
			list[i] = kept[i]
		}
		g.start(&list[i])
	}
	return list, nil
}

// start fills in what was not kept, and leaves out what is not wanted.
func (g Guard) start(s *guardState) {
	switch {
	case g.Zero == nil:
		s.z, s.beta = 0, -1
	case s.z == 0:
		s.z, s.beta = g.Zero.Initial, -1
	}
	switch {
	case g.Clip == nil:
		s.clip = 0
	case s.clip == 0 || g.Clip.fixed():
		s.clip = g.Clip.Initial
	}
}

// guardStatesOf reads what was kept.
func guardStatesOf(p part) (list []guardState, err error) {
	const size = 24
	if n := len(p.data); p.data != nil && (p.name != guardPart || n != size && n != 2*size) {
		return nil, fmt.Errorf("%w: a state of %d bytes for %.64q, want 24 or 48 for %s", model.ErrSchema, n, p.name, guardPart)
	}
	for rest := p.data; len(rest) > 0; rest = rest[size:] {
		var s guardState
		for i, v := range []*float64{&s.z, &s.clip, &s.beta} {
			*v = math.Float64frombits(binary.LittleEndian.Uint64(rest[8*i:]))
			if math.IsNaN(*v) || math.IsInf(*v, 0) || *v < -1 || *v < 0 && i < 2 {
				return nil, fmt.Errorf("%w: the guard's state has the number %v", model.ErrSchema, *v)
			}
		}
		list = append(list, s)
	}
	return list, nil
}

func (s guardState) bytes() (b []byte) {
	for _, v := range []float64{s.z, s.clip, s.beta} {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// most is the largest absolute value of an update beside z.
func (z *Zeroing) most(at float64) float64 { return float64(z.Multiplier*at) + z.Increment }

// Thresholds returns those of a round of training that is opened after rounds that left
// this state: numbers for its order and its record, nil for none.
func (g Guard) Thresholds(state []byte) (map[string]float64, error) {
	list, err := g.begun(state)
	if err != nil || g.none() {
		return nil, err
	}
	t := map[string]float64{}
	for i, of := range g.of() {
		s := list[i]
		if g.Zero != nil {
			t[of+thresholdZ], t[of+thresholdMost] = s.z, g.Zero.most(s.z)
			if s.beta >= 0 {
				t[of+thresholdBeta] = s.beta
			}
		}
		if s.clip > 0 {
			t[of+thresholdClip] = s.clip
		}
	}
	if len(t) == 0 {
		return nil, nil
	}
	return t, nil
}

// follow is a threshold after a round of which this share was within it.
func follow(at, rate, share, quantile float64) float64 {
	return max(least, float64(at*exact.Exp(-float64(rate*float64(share-quantile)))))
}

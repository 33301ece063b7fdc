package bench

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sync"
	"time"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// step is the unit of all updates: their values are whole multiples.
const step = 1.0 / (1 << 20)

// series is the arithmetic of the synthetic updates. The delta of a site
// in a round is the difference of two running totals: total(site, r) -
// total(site, r-1), each drawn from the seed alone, total(site, 0) = 0. A model
// is therefore the weighted mean of the totals of its round.
//
// Weights are 1 or 2 and add up to a power of two, W = 2^k, and totals are
// multiples of 2^-20 up to 2^-p, p = max(1, k-2). Then |delta| < 1, and mean,
// model and trained model are multiples of 2^-(20+k) below 2^(4-k): float32
// holds each of them exactly, no step rounds, and the model to expect is exact.
type series struct {
	seed   uint64
	sites  int
	weight int  // W, the sum of all weights
	from   int  // an even number: parameters below it never change
	shift  uint // from 32 random bits to a total
}

func newSeries(seed uint64, sites int) series {
	k := bits.Len(uint(sites - 1))                                                         // at least 1 site
	return series{seed: seed, sites: sites, weight: 1 << k, shift: uint(11 + max(1, k-2))} // k is at most 14
}

// frozen is the series of which the last share of the parameters alone changes, as with
// layers that are not trained.
func (s series) frozen(params int, changed float64) series {
	s.from = (params - int(math.Ceil(changed*float64(params)))) / 2 * 2
	return s
}

// samples is the weight of a site, from 0.
func (s series) samples(site int) int {
	if site < s.weight-s.sites {
		return 2
	}
	return 1
}

// key starts the stream of a site's totals of a round.
func (s series) key(site int, round uint64) uint64 {
	b := []byte("fedmq/bench/v1")
	for _, v := range []uint64{s.seed, uint64(site), round} { // not negative
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	h := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(h[:])
}

// period is how many totals are drawn for a site and a round: the parameters take them
// again and again. It is no multiple of what parts and blocks have, so that a part in the
// wrong place is seen, and what is drawn stays in the nearest memory.
const period = 2 * 2039 // parameters

// totals writes the totals of the parameters from first on, an even number, in
// units of 2^-20.
func (s series) totals(dst []int32, site int, round uint64, first int) {
	if round == 0 {
		clear(dst)
		return
	}
	key := s.key(site, round)
	for i, at := 0, first%period; i < len(dst); i, at = i+2, (at+2)%period {
		z := mix(key + uint64(at/2+1)*golden) // not negative
		dst[i] = int32(z) >> s.shift          // the low half
		if i+1 < len(dst) {
			dst[i+1] = int32(z>>32) >> s.shift // the high half
		}
	}
}

// golden and mix are SplitMix64: Steele, Lea and Flood, Fast Splittable
// Pseudorandom Number Generators, OOPSLA 2014.
const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// block is the number of parameters worked on at a time.
const block = 1 << 12

// train makes dst what a site trains of src in a round, little-endian float32: src
// with the site's delta added, one addition a parameter, since a bench is not about its
// trainer. dst may be src.
func (s series) train(dst, src []byte, site int, round uint64) {
	copy(dst, src[:4*s.from])
	dst, src = dst[4*s.from:], src[4*s.from:]
	delta := s.delta(site, round, s.from)
	for len(src) > 0 {
		n := min(len(src), 4*period)
		addTo(dst[:n], src[:n], delta)
		dst, src = dst[n:], src[n:]
	}
}

// update writes what a site sends: what it trained of base, less base, each rounded as a
// float32, from a parameter on. delta is that of the series' first one that changes.
func (s series) update(dst, base []byte, delta []float32, first int) {
	for i := 0; i < len(dst); i += 4 {
		x := float32(0)
		if at := first + i/4 - s.from; at >= 0 {
			b := get(base[i:])
			x = float32(b+delta[at%period]) - b
		}
		put(dst[i:], x)
	}
}

// addTo is dst = src + delta. The arrays of fixed size spare bound checks.
func addTo(dst, src []byte, delta []float32) {
	for len(dst) >= 32 && len(src) >= 32 && len(delta) >= 8 {
		d, s, x := (*[32]byte)(dst), (*[32]byte)(src), (*[8]float32)(delta)
		put(d[0:], get(s[0:])+x[0])
		put(d[4:], get(s[4:])+x[1])
		put(d[8:], get(s[8:])+x[2])
		put(d[12:], get(s[12:])+x[3])
		put(d[16:], get(s[16:])+x[4])
		put(d[20:], get(s[20:])+x[5])
		put(d[24:], get(s[24:])+x[6])
		put(d[28:], get(s[28:])+x[7])
		dst, src, delta = dst[32:], src[32:], delta[8:]
	}
	for i := 0; i < len(dst); i += 4 {
		put(dst[i:], get(src[i:])+delta[i/4])
	}
}

// delta is what a site adds in a round to the parameters from first on, for a period.
func (s series) delta(site int, round uint64, first int) []float32 {
	var now, before [period]int32
	s.totals(now[:], site, round, first)
	s.totals(before[:], site, round-1, first)
	d := make([]float32, period)
	for i := range d {
		d[i] = float32(now[i]-before[i]) * step
	}
	return d
}

func get(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

func put(b []byte, x float32) { binary.LittleEndian.PutUint32(b, math.Float32bits(x)) }

// errorOf returns the largest difference between a model's blob and the exact
// mean after a round: the totals are summed as integers, and the sum over W
// 2^20 is a float64 without rounding.
func (s series) errorOf(blob []byte, round uint64) (float64, error) {
	worst := 0.0
	var one [block]int32
	var sum [block]int64
	unit := step / float64(s.weight)
	for at := 0; at < len(blob)/4; {
		n, changes := min(block, len(blob)/4-at), round
		if at < s.from {
			n, changes = min(n, s.from-at), 0
		}
		clear(sum[:])
		for site := range s.sites {
			s.totals(one[:n], site, changes, at)
			w := int64(s.samples(site))
			for i, t := range one[:n] {
				sum[i] += w * int64(t)
			}
		}
		for i, want := range sum[:n] {
			got := float64(math.Float32frombits(binary.LittleEndian.Uint32(blob[4*(at+i):])))
			if got-got != 0 {
				return 0, fmt.Errorf("parameter %d of the model is %v", at+i, got)
			}
			worst = max(worst, math.Abs(got-float64(want)*unit))
		}
		at += n
	}
	return worst, nil
}

// noise is a site's trainer: one pass over the model.
type noise struct {
	series series
	site   int
	hold   func(ctx context.Context, round uint64) // before it trains
	note   func(what string)                       // when it does, for a trace

	local *model.Model // trained last; its memory is used again

	mu    sync.Mutex
	times []float64 // seconds of every call
}

func (t *noise) Samples() int { return t.series.samples(t.site) }

func (t *noise) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	t.hold(ctx, job.Round)
	t.note("train")
	defer t.note("trained")
	began := time.Now()
	if job.Round == 0 {
		return nil, errors.New("round 0 is not trained")
	}
	if t.local == nil || !t.local.Schema.Equal(global.Schema) {
		t.local = model.New(global.Schema)
	}
	t.series.train(t.local.Blob, global.Blob, t.site, job.Round)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times = append(t.times, time.Since(began).Seconds())
	return t.local, nil
}

// spent returns the times of the calls so far.
func (t *noise) spent() []float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]float64{}, t.times...)
}

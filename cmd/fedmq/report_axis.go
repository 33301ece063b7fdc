package main

import (
	"math"

	"gonum.org/v1/plot"
)

// curveAxisY brings values to heights from 0 to 1. It holds all it is made for:
// nothing is drawn where it is not.
type curveAxisY struct {
	lo, hi float64 // scaled
	scale  func(float64) float64
	ticks  []plot.Tick // with labels
}

// wideRange is from where on a straight scale shows one outlier and a flat line.
const wideRange = 100

// newAxisY makes the axis for values from lo to hi: straight; logarithmic where
// they are positive and far apart; and where they are far apart around 0, such
// as the r2 of a model that was not trained, straight near 0 and logarithmic
// beyond (asinh).
func newAxisY(lo, hi float64) curveAxisY {
	a := curveAxisY{scale: func(v float64) float64 { return v }}
	switch {
	case lo > 0 && hi/lo > wideRange:
		a.scale, a.ticks = math.Log10, powersOfTen(lo, hi)
	case lo <= 0 && hi-lo > wideRange:
		a.scale, a.ticks = math.Asinh, powersOfTen(lo, hi)
	default:
		for _, t := range (plot.DefaultTicks{}).Ticks(lo, hi) {
			if t.Label != "" && t.Value >= lo && t.Value <= hi {
				a.ticks = append(a.ticks, t)
			}
		}
	}
	a.lo, a.hi = a.scale(lo), a.scale(hi)
	return a
}

// height is where v stands, 0 for the lowest value.
func (a curveAxisY) height(v float64) float64 { return (a.scale(v) - a.lo) / (a.hi - a.lo) }

// mostTicks keeps labels apart.
const mostTicks = 6

// powersOfTen are ticks at 0 and at powers of ten within lo and hi, every
// second or third of them where they are many.
func powersOfTen(lo, hi float64) (ticks []plot.Tick) {
	largest := max(math.Abs(lo), math.Abs(hi))
	top, bottom := int(math.Ceil(math.Log10(largest))), 0
	if lo > 0 {
		bottom = int(math.Floor(math.Log10(lo)))
	}
	step := 1 + (top-bottom)/mostTicks
	for _, sign := range []float64{-1, 1} {
		for e := bottom; e <= top; e += step {
			if v := sign * math.Pow10(e); v >= lo && v <= hi {
				ticks = append(ticks, plot.Tick{Value: v, Label: numberText(v)})
			}
		}
	}
	if lo <= 0 && hi >= 0 {
		ticks = append(ticks, plot.Tick{Value: 0, Label: "0"})
	}
	return ticks
}

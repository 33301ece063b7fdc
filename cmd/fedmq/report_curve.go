package main

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/record"
)

// Size of a curve's picture, in its own units.
const (
	curveWidth  = 560
	curveHeight = 180
	curveMargin = 8
	curveAxis   = 52
)

// reportPoint is a metric of one round: pooled, and of the best and worst site.
type reportPoint struct{ round, value, best, worst float64 }

// curvesOf draws every metric that two records have, and that changed.
func curvesOf(recs []record.Record) (out []reportCurve) {
	points := map[string][]reportPoint{}
	for _, r := range recs {
		if r.Verdict == record.Abandoned {
			continue
		}
		for name, m := range r.Metrics {
			p := reportPoint{float64(r.Round), float64(m.Value), float64(m.Best), float64(m.Worst)}
			if finite(p.value) {
				points[name] = append(points[name], p)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(points)) {
		ps := points[name]
		if slices.ContainsFunc(ps, func(p reportPoint) bool { return p.value != ps[0].value }) {
			out = append(out, reportCurve{Name: name, First: numberText(ps[0].value), Last: numberText(ps[len(ps)-1].value), SVG: drawCurve(ps)})
		}
	}
	return out
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// drawCurve makes a picture of numbers that are not all the same, and of numbers
// alone: nothing in it is a peer's text.
func drawCurve(ps []reportPoint) template.HTML {
	axis := axisOf(ps)
	first, last := ps[0].round, ps[len(ps)-1].round
	x := func(round float64) float64 {
		return curveAxis + (curveWidth-curveAxis-curveMargin)*(round-first)/max(last-first, 1)
	}
	y := func(v float64) float64 {
		return curveHeight - 20 - (curveHeight-20-curveMargin)*axis.height(v)
	}
	var line, band []string
	for _, p := range ps {
		line = append(line, fmt.Sprintf("%.1f,%.1f", x(p.round), y(p.value)))
		if finite(p.best) {
			band = append(band, fmt.Sprintf("%.1f,%.1f", x(p.round), y(p.best)))
		}
	}
	for _, p := range slices.Backward(ps) {
		if finite(p.worst) {
			band = append(band, fmt.Sprintf("%.1f,%.1f", x(p.round), y(p.worst)))
		}
	}
	var ticks strings.Builder
	for _, t := range axis.ticks {
		fmt.Fprintf(&ticks, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" class="axis"/><text x="%d" y="%.1f" class="end">%s</text>`,
			curveAxis, y(t.Value), curveWidth-curveMargin, y(t.Value), curveAxis-6, y(t.Value)+4, template.HTMLEscapeString(t.Label))
	}
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %d %d" role="img">`+ // numbers
		`%s<polygon points="%s" class="band"/><polyline points="%s" class="line"/>`+
		`<text x="%d" y="%d">round %.0f</text><text x="%d" y="%d" class="end">%.0f</text></svg>`,
		curveWidth, curveHeight, ticks.String(), strings.Join(band, " "), strings.Join(line, " "),
		curveAxis, curveHeight-5, first, curveWidth-curveMargin, curveHeight-5, last))
}

// axisOf holds the line, and the band of sites around it.
func axisOf(ps []reportPoint) curveAxisY {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, p := range ps {
		for _, v := range []float64{p.value, p.best, p.worst} {
			if finite(v) {
				lo, hi = min(lo, v), max(hi, v)
			}
		}
	}
	return newAxisY(lo, hi)
}

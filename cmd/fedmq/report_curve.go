package main

import (
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strings"
)

// Size of a curve's picture, in its own units.
const (
	curveWidth  = 560
	curveHeight = 180
	curveMargin = 8
	curveAxis   = 52
)

// reportPoint is a metric of one model: pooled, and of the best and worst site. It
// stands at the model's version or, where runs are compared, its rounds of training.
type reportPoint struct{ at, value, best, worst float64 }

// reportLine is a value that a curve is held against.
type reportLine struct {
	Class string // how it is drawn
	Name  string
	Value float64
}

// Text is the value for a person.
func (l reportLine) Text() string { return numberText(l.Value) }

// curvesOf draws every metric that two records have, and that changed: the one that
// is shown first before the others. lines are by metric; best is a version, or no number.
func curvesOf(run *taskRun, best float64, lines map[string][]reportLine) (out []reportCurve) {
	points := map[string][]reportPoint{}
	for _, p := range run.measured() {
		for name, m := range p.Record.Metrics {
			if v := float64(m.Value); finite(v) {
				points[name] = append(points[name], reportPoint{float64(p.Version), v, float64(m.Best), float64(m.Worst)})
			}
		}
	}
	for _, name := range shownFirst(run.metric(), slices.Collect(maps.Keys(points))) {
		ps := points[name]
		if slices.ContainsFunc(ps, func(p reportPoint) bool { return p.value != ps[0].value }) {
			out = append(out, reportCurve{
				Name: name, First: numberText(ps[0].value), Last: numberText(ps[len(ps)-1].value), Lines: lines[name],
				SVG: drawCurve(ps, best, lines[name]),
			})
		}
	}
	return out
}

// shownFirst sorts names, one before all others.
func shownFirst(first string, names []string) []string {
	slices.Sort(names)
	if i := slices.Index(names, first); i > 0 {
		names = slices.Insert(slices.Delete(names, i, i+1), 0, first)
	}
	return names
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// drawCurve makes a picture of numbers that are not all the same, and of numbers
// alone: nothing in it is a peer's text.
func drawCurve(ps []reportPoint, best float64, lines []reportLine) template.HTML {
	axis := axisOf(ps, lines...)
	first, last := ps[0].at, ps[len(ps)-1].at
	x := func(version float64) float64 {
		return curveAxis + (curveWidth-curveAxis-curveMargin)*(version-first)/max(last-first, 1)
	}
	y := func(v float64) float64 {
		return curveHeight - 20 - (curveHeight-20-curveMargin)*axis.height(v)
	}
	var line, band []string
	for _, p := range ps {
		line = append(line, fmt.Sprintf("%.1f,%.1f", x(p.at), y(p.value)))
		if finite(p.best) {
			band = append(band, fmt.Sprintf("%.1f,%.1f", x(p.at), y(p.best)))
		}
	}
	for _, p := range slices.Backward(ps) {
		if finite(p.worst) {
			band = append(band, fmt.Sprintf("%.1f,%.1f", x(p.at), y(p.worst)))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img">`, curveWidth, curveHeight)
	for _, t := range axis.ticks {
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" class="axis"/><text x="%d" y="%.1f" class="end">%s</text>`,
			curveAxis, y(t.Value), curveWidth-curveMargin, y(t.Value), curveAxis-6, y(t.Value)+4, template.HTMLEscapeString(t.Label))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" class="end">version</text>`, curveAxis-12, curveHeight-5)
	for _, v := range versionTicks(first, last) {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" class="tick"/><text x="%.1f" y="%d" class="mid">%.0f</text>`,
			x(v), curveHeight-20, x(v), curveHeight-16, x(v), curveHeight-5, v)
	}
	fmt.Fprintf(&b, `<polygon points="%s" class="band"/>`, strings.Join(band, " "))
	for _, l := range lines {
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" class="%s"/>`, curveAxis, y(l.Value), curveWidth-curveMargin, y(l.Value), l.Class)
	}
	fmt.Fprintf(&b, `<polyline points="%s" class="line"/>`, strings.Join(line, " "))
	if i := slices.IndexFunc(ps, func(p reportPoint) bool { return p.at == best }); i >= 0 {
		fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="5" class="best"/>`, x(best), y(ps[i].value))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // numbers
}

// versionTicks are whole numbers from first to last, a round distance apart, and
// about mostTicks of them.
func versionTicks(first, last float64) (ticks []float64) {
	step := 1.0
	for i := 0; (last-first)/step > 2*mostTicks; i++ {
		step *= []float64{2, 2.5, 2}[i%3]
	}
	for v := math.Ceil(first/step) * step; v <= last; v += step {
		ticks = append(ticks, v)
	}
	return ticks
}

// axisOf holds the line, the band of sites around it, and what it is held against.
func axisOf(ps []reportPoint, lines ...reportLine) curveAxisY {
	lo, hi := math.Inf(1), math.Inf(-1)
	hold := func(v float64) {
		if finite(v) {
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	for _, p := range ps {
		hold(p.value)
		hold(p.best)
		hold(p.worst)
	}
	for _, l := range lines {
		hold(l.Value)
	}
	return newAxisY(lo, hi)
}

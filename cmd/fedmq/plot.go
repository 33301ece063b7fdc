package main

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Colours that stay apart for colour-blind readers (Okabe and Ito).
var (
	blue   = color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}
	orange = color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}
	green  = color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}
	pale   = color.NRGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0x28}
)

// plotRounds draws the pooled metric by rounds of training, the spread of the
// sites around it, and what training alone and in one place reach.
func plotRounds(path string, ex example, curve []curvePoint, r *result) error {
	if len(curve) == 0 {
		return fmt.Errorf("no round was measured: nothing to draw")
	}
	p := plot.New()
	p.Title.Text = fmt.Sprintf("fedmq %s: %d sites, %d parameters", ex.name, r.Sites, r.Parameters)
	p.Title.Padding = vg.Points(6)
	p.X.Label.Text = "rounds of training"
	p.Y.Label.Text = ex.metric
	if ex.unit != "" {
		p.Y.Label.Text += " (" + ex.unit + ")"
	}
	p.Add(plotter.NewGrid())
	p.Y.Min, p.Y.Max = lowest(curve), 1
	if ex.lower() {
		p.Y.Max = highest(curve, r)
	}
	if c := curve[0]; len(curve) > 1 && c.bad > p.Y.Max { // the untrained model is far off the scale: not drawn, told
		p.X.Label.Text += fmt.Sprintf(" (untrained: %s %.3g)", ex.metric, c.value)
		curve = curve[1:]
	}
	if err := addCurve(p, curve); err != nil {
		return err
	}
	for _, level := range []struct {
		name  string
		value float64
		color color.Color
	}{{"each site alone, mean", r.Isolated.Mean, orange}, {"all data in one place", r.Centralised, green}} {
		if math.IsNaN(level.value) {
			continue
		}
		l, err := plotter.NewLine(plotter.XYs{{X: 0, Y: level.value}, {X: curve[len(curve)-1].trained, Y: level.value}})
		if err != nil {
			return err
		}
		l.Color, l.Width, l.Dashes = level.color, vg.Points(1.5), []vg.Length{vg.Points(6), vg.Points(4)}
		p.Add(l)
		p.Legend.Add(level.name, l)
	}
	p.Legend.Top = ex.lower()
	p.Legend.Padding = vg.Points(3)
	p.Legend.XOffs = -vg.Points(8) // inside the frame
	return p.Save(18*vg.Centimeter, 11*vg.Centimeter, path)
}

// addCurve draws what the federation reaches, and the spread of its sites.
func addCurve(p *plot.Plot, curve []curvePoint) error {
	var fed, band plotter.XYs
	for _, c := range curve {
		fed = append(fed, plotter.XY{X: c.trained, Y: c.value})
		band = append(band, plotter.XY{X: c.trained, Y: c.best})
	}
	for _, c := range slices.Backward(curve) {
		band = append(band, plotter.XY{X: c.trained, Y: c.bad})
	}
	area, err := plotter.NewPolygon(band)
	if err != nil {
		return err
	}
	area.Color, area.LineStyle.Width = pale, 0
	line, points, err := plotter.NewLinePoints(fed)
	if err != nil {
		return err
	}
	line.Color, line.Width = blue, vg.Points(2)
	points.Color, points.Shape, points.Radius = blue, draw.CircleGlyph{}, vg.Points(2)
	p.Add(area, line, points)
	p.Legend.Add("federated", line, points)
	p.Legend.Add("best to worst site", area)
	return nil
}

// highest is the top of the axis of an error: it holds the worst site of every
// trained model, and what training alone reaches.
func highest(curve []curvePoint, r *result) float64 {
	top := r.Isolated.Mean
	if !math.IsNaN(r.Centralised) {
		top = max(top, r.Centralised)
	}
	for _, c := range curve {
		if c.trained > 0 {
			top = max(top, c.bad)
		}
	}
	return 1.05 * top
}

// lowest is the bottom of the axis: 0, or the worst site of a score such as r2.
func lowest(curve []curvePoint) (low float64) {
	for _, c := range curve {
		if c.trained > 0 && finite(c.bad) {
			low = min(low, c.bad)
		}
	}
	return low
}

package main

import (
	"fmt"
	"image/color"

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
	if ex.lower() { // the untrained model is far off the scale
		p.Y.Min, p.Y.Max = 0, 2*r.Isolated.Mean
	} else {
		p.Y.Min, p.Y.Max = 0, 1
	}
	var fed, band plotter.XYs
	for _, c := range curve {
		fed = append(fed, plotter.XY{X: c.trained, Y: min(c.value, p.Y.Max)})
		band = append(band, plotter.XY{X: c.trained, Y: min(c.best, p.Y.Max)})
	}
	for i := len(curve) - 1; i >= 0; i-- {
		band = append(band, plotter.XY{X: curve[i].trained, Y: min(curve[i].bad, p.Y.Max)})
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
	for _, level := range []struct {
		name  string
		value float64
		color color.Color
	}{{"each site alone, mean", r.Isolated.Mean, orange}, {"all data in one place", r.Centralised, green}} {
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
	return p.Save(18*vg.Centimeter, 11*vg.Centimeter, path)
}

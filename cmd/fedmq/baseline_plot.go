package main

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// drawable refuses a name that no picture has.
func drawable(path string) error {
	if ext := filepath.Ext(path); path == standardOutput || ext != ".png" && ext != ".svg" && ext != ".pdf" {
		return fmt.Errorf("-o: %s, want a name that ends with .png, .svg or .pdf", path)
	}
	return nil
}

// picture draws the rounds of one federation beside the others, or, of several
// trainings, a point for each.
func (b *baseline) picture(path string, rows []armScore, done []outcome, metric string) error {
	ex := example{name: b.agg.Tasks[b.task].Name, metric: metric}
	if len(rows) > 3 || rows[0].N > 1 || b.Leave {
		return plotSpread(path, ex, rows, done)
	}
	res, curve := &result{Sites: len(b.field.sites), Parameters: done[0].Values, Centralised: math.NaN()}, []curvePoint(nil)
	for _, r := range rows {
		switch r.Arm {
		case armAlone:
			res.Isolated = isolated{Mean: r.Mean, Best: r.Best, Worst: r.Worst}
		case armCentral:
			res.Centralised = r.Mean
		}
	}
	for _, c := range done[slices.IndexFunc(done, func(o outcome) bool { return o.Arm == armFederated })].Curve {
		if m, ok := c.Metrics[metric]; ok {
			curve = append(curve, curvePoint{float64(c.Trained), float64(m.Value), float64(m.Best), float64(m.Worst)})
		}
	}
	return plotRounds(path, ex, curve, res)
}

// armColors are those of the arms in all pictures.
var armColors = map[string]color.Color{armAlone: orange, armFederated: blue, armCentral: green}

// plotSpread draws a column for each row of the table: a point for each
// training, and a line for their mean.
func plotSpread(path string, ex example, rows []armScore, done []outcome) error {
	p := plot.New()
	p.Title.Text, p.Title.Padding = "fedmq baseline "+ex.name, vg.Points(6)
	p.Y.Label.Text = ex.metric
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	p.Add(grid)
	var names []string
	for i, r := range rows {
		var at plotter.XYs
		for _, o := range done {
			if o.Arm == r.Arm && o.Set == r.Set {
				at = append(at, plotter.XY{X: float64(i), Y: float64(o.Metrics[ex.metric].Value)})
			}
		}
		points, err := plotter.NewScatter(at)
		if err != nil {
			return err
		}
		points.Color, points.Shape, points.Radius = armColors[r.Arm], draw.RingGlyph{}, vg.Points(2.5)
		line, err := plotter.NewLine(plotter.XYs{{X: float64(i) - 0.25, Y: r.Mean}, {X: float64(i) + 0.25, Y: r.Mean}})
		if err != nil {
			return err
		}
		line.Color, line.Width = armColors[r.Arm], vg.Points(2.5)
		p.Add(points, line)
		if !slices.Contains(names, r.Arm) {
			names = append(names, r.Arm)
			p.Legend.Add(armNames[r.Arm], line)
		}
	}
	labels := make([]string, len(rows))
	for i, r := range rows {
		if i == 0 || rows[i-1].Set != r.Set {
			labels[i] = strings.ReplaceAll(r.Set, " ", "\n")
		}
	}
	p.NominalX(labels...)
	p.Y.Min -= (p.Y.Max - p.Y.Min) / 5 // for the legend
	p.Legend.Padding, p.Legend.XOffs = vg.Points(3), -vg.Points(8)
	return p.Save(18*vg.Centimeter, 11*vg.Centimeter, path)
}

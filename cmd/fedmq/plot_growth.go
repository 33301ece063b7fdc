package main

import (
	"cmp"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/fedmq/fedmq/internal/bench"
)

// growthPanel is the sizes that differ in one thing.
type growthPanel struct {
	title string
	of    func(*bench.Result) int // what they differ in
	sizes []*bench.Result
}

// panelsOf puts sizes of one model side by side by their sites, and those of as many
// sites by their parameters. A size that is alone in both is not shown.
func panelsOf(all []*bench.Result) (out []growthPanel) {
	sites, params := func(r *bench.Result) int { return r.Sites }, func(r *bench.Result) int { return r.Params }
	add := func(same, of func(*bench.Result) int, title func(n int) string) {
		by := map[int][]*bench.Result{}
		var keys []int
		for _, r := range all {
			if by[same(r)] == nil {
				keys = append(keys, same(r))
			}
			by[same(r)] = append(by[same(r)], r)
		}
		for _, k := range keys {
			list := slices.Clone(by[k])
			slices.SortStableFunc(list, func(a, b *bench.Result) int { return cmp.Compare(of(a), of(b)) })
			if list = slices.CompactFunc(list, func(a, b *bench.Result) bool { return of(a) == of(b) }); len(list) > 1 {
				out = append(out, growthPanel{title(k), of, list})
			}
		}
	}
	add(params, sites, func(n int) string { return fmt.Sprintf("sites, each with %s parameters", bench.Parameters(n)) })
	add(sites, params, func(n int) string { return fmt.Sprintf("parameters, with %d sites", n) })
	return out
}

// plotGrowth draws how many times the floor's a round's time, CPU and memory are, by
// size. There is a panel at least.
func plotGrowth(path string, all []*bench.Result) error {
	panels := panelsOf(all)
	row := make([]*plot.Plot, len(panels))
	top := 0.0
	for i, p := range panels {
		var err error
		if row[i], err = p.plot(); err != nil {
			return err
		}
		top = max(top, row[i].Y.Max)
	}
	for i, p := range row {
		p.Y.Min, p.Y.Max = 0, top
		if i > 0 { // one legend is enough
			p.Legend = plot.NewLegend()
		}
	}
	row[0].Legend.Top = true
	row[0].Y.Label.Text = "times the floor's"
	width, height := vg.Length(len(row))*13*vg.Centimeter, 9*vg.Centimeter
	c, err := draw.NewFormattedCanvas(width, height, strings.TrimPrefix(filepath.Ext(path), "."))
	if err != nil {
		return err
	}
	dc := draw.New(c)
	dc.SetColor(color.White)
	dc.Fill(dc.Rectangle.Path())
	pad := vg.Points(8)
	tiles := draw.Tiles{Rows: 1, Cols: len(row), PadX: 2 * pad, PadTop: pad, PadBottom: pad, PadLeft: pad, PadRight: 2 * pad}
	for i, canvas := range plot.Align([][]*plot.Plot{row}, tiles, dc)[0] {
		row[i].Draw(canvas)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err = c.WriteTo(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// plot draws the lines of one panel.
func (g growthPanel) plot() (*plot.Plot, error) {
	p := plot.New()
	p.X.Label.Text = g.title
	p.X.Scale = plot.LogScale{}
	var ticks []plot.Tick
	for _, r := range g.sizes {
		ticks = append(ticks, plot.Tick{Value: float64(g.of(r)), Label: bench.Parameters(g.of(r))})
	}
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	p.Add(plotter.NewGrid())
	for _, l := range []struct {
		name   string
		color  color.Color
		dashes []vg.Length
		of     func(*bench.Result) float64
	}{
		{"time of a round", blue, nil, func(r *bench.Result) float64 { return r.WallOver }},
		{"CPU of a round", orange, nil, func(r *bench.Result) float64 { return r.CPUOver }},
		{"memory: aggregator", green, nil, func(r *bench.Result) float64 { return r.Memory()[0].Over }},
		{"broker", green, []vg.Length{vg.Points(6), vg.Points(3)}, func(r *bench.Result) float64 { return r.Memory()[1].Over }},
		{"site", green, []vg.Length{vg.Points(2), vg.Points(2)}, func(r *bench.Result) float64 { return r.Memory()[2].Over }},
	} {
		var xys plotter.XYs
		for _, r := range g.sizes {
			xys = append(xys, plotter.XY{X: float64(g.of(r)), Y: l.of(r)})
		}
		line, points, err := plotter.NewLinePoints(xys)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width, line.Dashes = l.color, vg.Points(1.5), l.dashes
		points.Color, points.Shape, points.Radius = l.color, draw.CircleGlyph{}, vg.Points(2)
		p.Add(line, points)
		p.Legend.Add(l.name, line, points)
		p.Y.Max = max(p.Y.Max, 1.05*slices.MaxFunc(xys, func(a, b plotter.XY) int { return cmp.Compare(a.Y, b.Y) }).Y)
	}
	return p, nil
}

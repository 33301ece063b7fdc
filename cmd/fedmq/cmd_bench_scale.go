package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/fedmq/fedmq/internal/bench"
	"github.com/fedmq/fedmq/wire"
)

type benchScaleCmd struct {
	Points  []string `default:"10x100k,30x100k,100x100k,300x100k,4x1M,4x3M,4x10M,4x30M" help:"Sizes, SITESxPARAMS each."`
	Rounds  int      `default:"5" help:"Rounds of each that are measured."`
	Dir     string   `help:"Where the runs' directories are made; default: the system's directory for temporary files."`
	Picture string   `placeholder:"FILE" help:"Draw the growth as .svg or .png."`
	JSON    bool     `help:"Print one JSON object: those of bench round, in points."`
}

func (benchScaleCmd) Help() string {
	return `A bench round --processes for each size, one after the other. A line each: the round's seconds,
its CPU seconds and the peak of memory by role, and how many times the floor's each is. If that
number stays, fedmq grows as the bytes do. 300 sites are 600 processes, with those of the floor:
10 GB of memory. Fewer points and rounds take less time.`
}

func (c *benchScaleCmd) Run(ctx context.Context, logs *logFlags) error {
	r := benchOf(logs)
	r.Rounds, r.Processes, r.PartSize, r.Seed, r.Changed, r.Dir = c.Rounds, true, wire.DefaultPart, 1, 1, c.Dir
	points, err := c.check(r)
	if err != nil {
		return usageError{err}
	}
	table := io.Writer(stdout)
	if c.JSON {
		table = r.Talk
	}
	bench.GrowthHeader(table)
	g, err := r.Scale(ctx, points, func(res *bench.Result) { res.Row(table) })
	if err != nil {
		return err
	}
	g.Versions = thisMachine()
	if c.Picture != "" {
		err = plotGrowth(c.Picture, g.Points)
	}
	if c.JSON {
		err = errors.Join(err, printJSON(g))
	}
	return err
}

// check says what cannot be measured or drawn, before minutes have gone by.
func (c *benchScaleCmd) check(r bench.Round) ([]bench.Point, error) {
	var points []bench.Point
	var sizes []*bench.Result
	for _, s := range c.Points {
		p, err := bench.ParsePoint(s)
		if err != nil {
			return nil, err
		}
		r.Sites, r.Params = p.Sites, p.Params
		if err := r.Check(); err != nil {
			return nil, err
		}
		points, sizes = append(points, p), append(sizes, &bench.Result{Sites: p.Sites, Params: p.Params})
	}
	switch ext := filepath.Ext(c.Picture); {
	case c.Picture == "":
	case ext != ".svg" && ext != ".png":
		return nil, fmt.Errorf("--picture %s: want a name that ends in .svg or .png", c.Picture)
	case len(panelsOf(sizes)) == 0:
		return nil, errors.New("--picture: no two --points have the same sites, or the same parameters")
	default:
		if _, err := os.Stat(filepath.Dir(c.Picture)); err != nil {
			return nil, fmt.Errorf("--picture: %w", err)
		}
	}
	return points, nil
}

// benchOf is a bench of this program, which says little beside its answer.
func benchOf(logs *logFlags) bench.Round {
	quiet := *logs
	if quiet.Level == "info" { // the answer is the news
		quiet.Level = "warn"
	}
	r := bench.Round{Log: quiet.logger(), Peer: append([]string{"bench", "peer"}, quiet.args()...), Talk: io.Discard}
	if terminal(os.Stderr) {
		r.Talk = os.Stderr
	}
	return r
}

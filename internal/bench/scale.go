package bench

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Point is a size of a federation.
type Point struct{ Sites, Params int }

// ParsePoint reads SITESxPARAMS, with k and M for thousands and millions of parameters.
func ParsePoint(s string) (Point, error) {
	sites, params, _ := strings.Cut(s, "x")
	unit := 1
	if n, ok := strings.CutSuffix(params, "k"); ok {
		params, unit = n, 1000
	} else if n, ok := strings.CutSuffix(params, "M"); ok {
		params, unit = n, 1_000_000
	}
	n, err1 := strconv.Atoi(sites)
	m, err2 := strconv.Atoi(params)
	if err1 != nil || err2 != nil || m > 1<<30 {
		return Point{}, fmt.Errorf("--points %q: want SITESxPARAMS, such as 10x100k or 4x30M", s)
	}
	return Point{n, m * unit}, nil
}

// String is short: 10x100k.
func (p Point) String() string { return fmt.Sprintf("%dx%s", p.Sites, Parameters(p.Params)) }

// Parameters is a number with k or M, where nothing is lost by it.
func Parameters(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return strconv.Itoa(n/1_000_000) + "M"
	case n >= 1000 && n%1000 == 0:
		return strconv.Itoa(n/1000) + "k"
	}
	return strconv.Itoa(n)
}

// Growth is the JSON object of federations of many sizes.
type Growth struct {
	Points   []*Result `json:"points"`
	Versions any       `json:"versions"`
}

// Scale measures one federation after the other, each as r but for its size, and
// tells each at once.
func (r *Round) Scale(ctx context.Context, points []Point, told func(*Result)) (*Growth, error) {
	g := &Growth{}
	for _, p := range points {
		one := *r
		one.Sites, one.Params = p.Sites, p.Params
		fmt.Fprintf(r.Talk, "\r%s: starts\x1b[K", p)
		res, err := one.Run(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
		g.Points = append(g.Points, res)
		told(res)
	}
	return g, nil
}

// GrowthHeader is the first line of a table of them.
func GrowthHeader(w io.Writer) {
	fmt.Fprintf(w, "%-10s %18s %18s %20s %20s %20s\n", "", "round, x floor", "CPU, x floor", "aggregator MB, x", "broker MB, x", "site MB, x")
}

// Row writes the line of one size: figures, and how often each is in the floor's.
func (r *Result) Row(w io.Writer) {
	fmt.Fprintf(w, "%-10s %10s %6.1fx %10s %6.1fx", Point{r.Sites, r.Params}, seconds(r.Median), r.WallOver, seconds(r.CPU), r.CPUOver)
	for _, m := range r.Memory() {
		fmt.Fprintf(w, " %12.0f %5.1fx", m.MB, m.Over)
	}
	fmt.Fprintln(w)
}

// Memory is the peak of a role, in MB and in the floor's.
type Memory struct{ MB, Over float64 }

// Memory returns that of aggregator, broker and the largest site; 0 where it is not
// known.
func (r *Result) Memory() (out [3]Memory) {
	floor := ByRole{}
	if r.FloorRSS != nil {
		floor = *r.FloorRSS
	}
	for i, v := range [...][2]*float64{{r.RSS.Aggregator, floor.Aggregator}, {r.RSS.Broker, floor.Broker}, {r.RSS.Site, floor.Site}} {
		if v[0] != nil && v[1] != nil {
			out[i] = Memory{*v[0], over(*v[0], *v[1])}
		}
	}
	return out
}

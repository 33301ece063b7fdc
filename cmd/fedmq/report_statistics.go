package main

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// reportGathered is what a task of statistics has gathered, as the page shows it.
type reportGathered struct {
	Round    uint64
	Heads    []string
	Rows     [][]string
	Notes    []string
	Pictures []reportHistogram
}

// reportHistogram is a picture of one column.
type reportHistogram struct {
	Name, Outside string
	Reference     bool // the outline is the first round that counted
	SVG           template.HTML
}

// gathered reads the newest version of a survey; nil: the task trains, or its model is not
// kept.
func (src reportSource) gathered() (*reportGathered, error) {
	recs := src.run.Records
	i := len(recs) - 1
	for i >= 0 && recs[i].Verdict == record.Abandoned {
		i--
	}
	if i < 0 || recs[i].Round == 0 || src.schema == nil || src.blob == nil {
		return nil, nil
	}
	if _, ok := model.SurveyOf(src.schema); !ok {
		return nil, nil
	}
	blob, err := src.blob(recs[i].Model)
	if err != nil || len(blob) != src.schema.Bytes() {
		return nil, nil //nolint:nilerr // the verification says why
	}
	m := &model.Model{Schema: src.schema, Blob: blob}
	g, ok, err := gatheredOf(m, src.contract, memberBy(recs))
	if !ok || err != nil {
		return nil, err
	}
	reference, err := m.Float64s(model.SurveyReference)
	if err != nil {
		return nil, err
	}
	out := &reportGathered{Round: recs[i].Round, Heads: g.heads(), Notes: g.notes()}
	wide := len(reference) / max(len(g.Columns), 1)
	for k, c := range g.Columns {
		out.Rows = append(out.Rows, g.cells(c))
		h := c.Histogram
		if h == nil {
			continue
		}
		p := reportHistogram{Name: g.cells(c)[0]}
		if h.Under+h.Over > 0 {
			p.Outside = fmt.Sprintf("%.0f below, %.0f above", h.Under, h.Over)
		}
		var first []float64
		if c.Drift != nil {
			p.Reference, first = true, reference[k*wide+1:(k+1)*wide-1]
		}
		p.SVG = drawHistogram(h.Lo, h.Hi, h.Counts, first)
		out.Pictures = append(out.Pictures, p)
	}
	return out, nil
}

// drawHistogram makes a picture of shares of rows by value, and of the outline of others.
// Nothing in it is a peer's text.
func drawHistogram(lo, hi float64, counts, first []float64) template.HTML {
	bars, outline := shares(counts), shares(first)
	most := slices.Max(append(slices.Clone(bars), outline...))
	const width, base, top = curveWidth - 2*curveMargin, curveHeight - 20, curveHeight - 20 - curveMargin
	x := func(i int) float64 { return curveMargin + width*float64(i)/float64(len(counts)) }
	y := func(share float64) float64 { return base - top*share/max(most, 1e-300) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img">`, curveWidth, curveHeight)
	for i, share := range bars {
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="bar"/>`, x(i)+.5, y(share), max(x(i+1)-x(i)-1, .5), base-y(share))
	}
	if len(outline) > 0 {
		var line []string
		for i, share := range outline {
			line = append(line, fmt.Sprintf("%.1f,%.1f %.1f,%.1f", x(i), y(share), x(i+1), y(share)))
		}
		fmt.Fprintf(&b, `<polyline points="%s" class="first"/>`, strings.Join(line, " "))
	}
	fmt.Fprintf(&b, `<line x1="%d" y1="%d" x2="%d" y2="%d" class="tick"/>`, curveMargin, base, curveMargin+width, base)
	for _, t := range []struct {
		at    float64
		class string
	}{{0, ""}, {.5, "mid"}, {1, "end"}} {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" class="%s">%s</text>`, curveMargin+width*t.at, curveHeight-5, t.class, numberText(lo+(hi-lo)*t.at))
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // numbers
}

// shares are counts by their sum.
func shares(counts []float64) []float64 {
	total, out := 0.0, slices.Clone(counts)
	for _, c := range counts {
		total += c
	}
	for i := range out {
		out[i] /= max(total, 1)
	}
	return out
}

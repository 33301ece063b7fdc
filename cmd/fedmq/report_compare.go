package main

import (
	_ "embed" // compare.html
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/strategy"
)

//go:embed compare.html
var compareText string

var compareHTML = template.Must(template.New("compare").Parse(compareText))

// comparePage shows runs side by side; texts of peers are escaped by the template.
type comparePage struct {
	Agent  string
	Groups []compareGroup
}

// compareGroup are the runs of one task.
type compareGroup struct {
	Task     string
	Runs     []compareRun
	Settings []compareSetting // that differ
	Unknown  []string         // runs whose settings nobody has noted
	Curves   []compareCurve
}

type compareRun struct {
	Color      int // its class
	Name       string
	Began      string
	Rounds     int
	Strategies []string // as the records have them, in their order
	Best       string   // the version that did best, "" where none is known
	Scores     []string // of that version, else of the last that was measured
	Model      string   // likewise
	Problem    string   // what verify has found
}

type compareSetting struct {
	Key    string
	Values []string // by run
}

type compareCurve struct {
	Name string
	SVG  template.HTML
}

// compareColors is how many classes the page has.
const compareColors = 8

// compared puts runs side by side: all of them, where each place has one task,
// else by task.
func compared(runs []*taskRun, problems map[string]string) comparePage {
	p := comparePage{Agent: "fedmq " + version}
	places := map[string]int{}
	for _, r := range runs {
		places[r.Name]++
	}
	groups := map[string][]*taskRun{}
	var order []string
	for _, r := range runs {
		key := r.Task
		if len(places) == len(runs) {
			key = ""
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], r)
	}
	for _, key := range order {
		p.Groups = append(p.Groups, groupOf(groups[key], problems))
	}
	return p
}

// Metrics are the names of the columns of scores.
func (g compareGroup) Metrics() (names []string) {
	for _, c := range g.Curves {
		names = append(names, c.Name)
	}
	return names
}

func groupOf(runs []*taskRun, problems map[string]string) compareGroup {
	g := compareGroup{Task: runs[0].Task}
	lines := map[string][][]reportPoint{} // by metric, by run
	rings := make([]float64, len(runs))
	for i, r := range runs {
		if r.Task != g.Task {
			g.Task += ", " + r.Task
		}
		best, ok := r.best()
		if rings[i] = math.NaN(); ok {
			rings[i] = float64(best.Trained)
		}
		for _, p := range r.measured() {
			for name, m := range p.Record.Metrics {
				if v := float64(m.Value); finite(v) {
					if lines[name] == nil {
						lines[name] = make([][]reportPoint, len(runs))
					}
					lines[name][i] = append(lines[name][i], reportPoint{float64(p.Trained), v, math.NaN(), math.NaN()})
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		if name != "n" { // the number of rows, which is no measure
			g.Curves = append(g.Curves, compareCurve{name, overlay(lines[name], rings)})
		}
	}
	for i, r := range runs {
		row := compareRun{Color: i % compareColors, Name: r.Name, Began: utc(r.began()), Rounds: r.rounds(), Problem: problems[r.Name], Strategies: r.strategies()}
		row.Best, row.Model, row.Scores = r.outcome(g.Metrics())
		if len(r.Settings) == 0 {
			g.Unknown = append(g.Unknown, r.Name)
		}
		g.Runs = append(g.Runs, row)
	}
	g.Settings = settingsThatDiffer(runs)
	return g
}

// strategies are those that rounds of training were folded with, one after the other.
func (r *taskRun) strategies() (list []string) {
	for _, rec := range r.Records {
		if !rec.Trained() {
			continue
		}
		s := rec.Strategy
		said := s.Name + paramsText(s.Params)
		if s.Server != strategy.SGD {
			said = joined(texts(said, serverText(&s)), 2)
		}
		if len(list) == 0 || list[len(list)-1] != said {
			list = append(list, said)
		}
	}
	return list
}

// outcome is the version that a run ends with, its model, and what it has of each
// metric: of the best version, else of the last one, as it was measured last.
func (r *taskRun) outcome(metrics []string) (version, id string, scores []string) {
	var of *record.Record
	if n := len(r.Records); n > 0 {
		id = shortHash(r.Records[n-1].Model)
	}
	if points := r.measured(); len(points) > 0 {
		of = points[len(points)-1].Record
	}
	if p, ok := r.best(); ok {
		of, version, id = p.Record, strconv.FormatUint(p.Version, 10), shortHash(p.Record.Base)
	}
	for _, name := range metrics {
		text := "-"
		if of != nil {
			if m, ok := of.Metrics[name]; ok && finite(float64(m.Value)) {
				text = numberText(float64(m.Value))
			}
		}
		scores = append(scores, text)
	}
	return version, id, scores
}

// settingsThatDiffer are those of the tasks and of the sites, by their whole keys.
func settingsThatDiffer(runs []*taskRun) (list []compareSetting) {
	all, known := make([]map[string]string, len(runs)), map[string]bool{}
	for i, r := range runs {
		s := r.settings()
		all[i] = flat(s.Settings)
		for member, raw := range s.Sites {
			for key, value := range flat(raw) {
				all[i][member+" "+key] = value
			}
		}
		for key := range all[i] {
			known[key] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(known)) {
		s, differ := compareSetting{Key: key}, false
		for i, values := range all {
			v, ok := values[key]
			if !ok {
				v = "-"
			}
			s.Values = append(s.Values, v)
			differ = differ || v != s.Values[0] && len(runs[i].Settings) > 0
		}
		if differ {
			list = append(list, s)
		}
	}
	return list
}

// overlay draws one metric of all runs by rounds of training, with a ring at each run's
// best version: numbers alone.
func overlay(lines [][]reportPoint, rings []float64) template.HTML {
	axis, end := axisOf(slices.Concat(lines...)), 1.0
	for _, ps := range lines {
		for _, p := range ps {
			end = max(end, p.at)
		}
	}
	x := func(round float64) float64 { return curveAxis + (curveWidth-curveAxis-curveMargin)*round/end }
	y := func(v float64) float64 {
		if axis.hi == axis.lo {
			return (curveHeight - 20 + curveMargin) / 2
		}
		return curveHeight - 20 - (curveHeight-20-curveMargin)*axis.height(v)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" role="img">`, curveWidth, curveHeight)
	for _, t := range axis.ticks {
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" class="axis"/><text x="%d" y="%.1f" class="end">%s</text>`,
			curveAxis, y(t.Value), curveWidth-curveMargin, y(t.Value), curveAxis-6, y(t.Value)+4, template.HTMLEscapeString(t.Label))
	}
	for i, ps := range lines {
		var at []string
		for _, p := range ps {
			at = append(at, fmt.Sprintf("%.1f,%.1f", x(p.at), y(p.value)))
		}
		if len(at) == 1 {
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" class="dot c%d"/>`, x(ps[0].at), y(ps[0].value), i%compareColors)
		}
		fmt.Fprintf(&b, `<polyline points="%s" class="line c%d"/>`, strings.Join(at, " "), i%compareColors)
		if k := slices.IndexFunc(ps, func(p reportPoint) bool { return p.at == rings[i] }); k >= 0 {
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="5" class="ring c%d"/>`, x(ps[k].at), y(ps[k].value), i%compareColors)
		}
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d">0</text><text x="%d" y="%d" class="end">%.0f rounds of training</text></svg>`,
		curveAxis, curveHeight-5, curveWidth-curveMargin, curveHeight-5, end)
	return template.HTML(b.String()) // numbers
}

func (p comparePage) render(w io.Writer) error { return compareHTML.Execute(w, p) }

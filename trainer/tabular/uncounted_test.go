package tabular_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// Where statistics are gathered and nothing is trained, a cell that is no number costs the
// others nothing: it is missing, and said with its place. What is wrong with the whole of
// a file or a column is refused, and a task that trains refuses such a cell.
func TestCellsThatCannotBeCounted(t *testing.T) {
	t.Parallel()
	survey := &pipeline.Contract{Inputs: []pipeline.Input{{Name: "flow"}, {Name: "temp"}}, Net: pipeline.Net{Output: pipeline.OutputNone}}
	nan := math.NaN()
	for name, c := range map[string]struct {
		csv   string
		flow  []float64
		notes []string
		err   string
	}{
		"infinite": {"flow,temp\n1,5\nInf,6\n", []float64{1, nan}, []string{
			`flow: 1 cell is no number that can be counted, and counts as missing: t.csv:3:1: "Inf" is not a finite number; if it stands for a missing value: missing: ["Inf"]`,
		}, ""},
		"huge, and more of it": {"flow,temp\n1e300,5\n-1e400,6\n2,7\n", []float64{nan, nan, 2}, []string{
			`flow: 2 cells are no numbers that can be counted, and count as missing; the first: t.csv:2:1: "1e300" is beyond ±1e+100: its square is not finite; if it stands for a missing value: missing: ["1e300"]`,
		}, ""},
		"texts, in both": {"flow,temp\nclosed,5\n2,5 °C\n3,6\n", []float64{nan, 2, 3}, []string{
			`flow: 1 cell is no number that can be counted, and counts as missing: t.csv:2:1: "closed" is no number`,
			`temp: 1 cell is no number that can be counted, and counts as missing: t.csv:3:3: "5 °C" is a number with something behind it`,
		}, ""},
		"none":                        {"flow,temp\n1,5\n,6\n", []float64{1, nan}, nil, ""},
		"no number in a column":       {"flow,temp\n1,x\n2,y\n3,\n", nil, nil, `t.csv:2:3: "x" is no number; if it stands for a missing value: missing: ["x"]; if the column has texts, it cannot be counted: a task of statistics counts numbers, leave the column out of it; no cell of temp is a number`},
		"thousands: the whole file's": {"flow,temp\n1 000,5\n2,6\n", nil, nil, "want no gaps, and no marks between thousands"},
		"marks: likewise":             {"flow;temp\n1,5;5\n2.5;6\n", nil, nil, "has another decimal mark"},
		"a column that is not there":  {"flow\n1\n", nil, nil, "temp"},
	} {
		conf, err := tabular.Config{Train: "t.csv"}.Of(survey)
		if err != nil {
			t.Fatal(err)
		}
		d, err := tabular.Load(files("t.csv", c.csv), conf)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var flow []float64
		for i := range d.Train.N {
			flow = append(flow, d.Train.X[2*i])
		}
		same := slices.EqualFunc(flow, c.flow, func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
		if !same || !slices.EqualFunc(d.Notes, c.notes, strings.HasPrefix) {
			t.Errorf("%s: %v, notes %q", name, flow, d.Notes)
		}
	}
	_, err := tabular.Load(files("t.csv", "flow,y\nInf,5\n1,2\n"), tabular.Config{
		Train: "t.csv", Features: []tabular.Feature{{Columns: []string{"flow"}}}, Target: tabular.Target{Column: "y"},
	})
	if err == nil || !strings.Contains(err.Error(), `t.csv:2:1: "Inf" is not a finite number`) {
		t.Errorf("a task that trains: %v", err)
	}
}

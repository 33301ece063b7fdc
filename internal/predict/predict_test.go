package predict

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fedmq/fedmq/internal/table"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// coef is a model with the tensors coef [1, n] and intercept 0.
func coef(t *testing.T, c *pipeline.Contract, w ...float64) *tabular.Predictor {
	t.Helper()
	s, err := model.NewSchema(model.Spec{Name: "coef", DType: model.F64, Shape: []int{1, len(w)}}, model.Spec{Name: "intercept", DType: model.F64, Shape: []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	m := model.New(s)
	if err := m.SetFloat64s("coef", w); err != nil {
		t.Fatal(err)
	}
	c.Net.Tensors = pipeline.TensorsCoef
	p, err := tabular.NewPredictor(c, m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func boiler() *pipeline.Contract {
	return &pipeline.Contract{
		Inputs:   []pipeline.Input{{Name: "flow", Unit: "m3/h"}, {Name: "mode", Values: []string{"idle", "run"}}},
		Features: []pipeline.Feature{{Of: "flow", Log1p: true}, {Of: "mode"}},
		Target:   pipeline.Target{Name: "result", Classes: []string{"ok", "fault"}},
		Net:      pipeline.Net{Output: pipeline.OutputLogistic},
	}
}

func wear() *pipeline.Contract {
	return &pipeline.Contract{
		Inputs: []pipeline.Input{{Name: "t"}}, Window: &pipeline.Window{Group: []string{"unit"}, Order: "at", Rows: 2, Stats: []string{"mean"}},
		Target: pipeline.Target{Name: "wear", Unit: "mm", Scale: 10}, Net: pipeline.Net{Output: pipeline.OutputIdentity},
	}
}

// predicted is the file that is written, or the error.
func predicted(t *testing.T, m *tabular.Predictor, content string, names map[string]tabular.Column, only bool) (string, Seen) {
	t.Helper()
	tab, err := table.Open(table.FS(fstest.MapFS{"rows": {Data: []byte(content)}}), "rows", table.Format{Flags: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(m, tab, names, only)
	if err != nil {
		return "!" + err.Error(), Seen{}
	}
	var b bytes.Buffer
	w, err := NewCSV(&b, p.Columns(), tab)
	if err != nil {
		t.Fatal(err)
	}
	seen, err := p.Run(t.Context(), w)
	if err != nil {
		return "!" + err.Error(), seen
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), seen
}

func TestRows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, rows, want string
		names            map[string]tabular.Column
		only             bool
	}{
		{"columns are passed on", "id,mode,flow\nx1,run,0\nx 2,idle,0\n", "id,mode,flow,predicted,p_ok,p_fault\nx1,run,0,fault,0.25,0.75\nx 2,idle,0,ok,0.75,0.25\n", nil, false},
		{"a file of Excel stays one", "mode;flow\nrun;0,0\n", "mode;flow;predicted;p_ok;p_fault\nrun;0,0;fault;0,25;0,75\n", nil, false},
		{"names that are there already", "flow,mode,predicted,p_ok\n0,idle,a,b\n", "flow,mode,predicted,p_ok,predicted_,p_ok_,p_fault\n0,idle,a,b,ok,0.75,0.25\n", nil, false},
		{"alone, from another column", "Betrieb,FLOW\nrun,0\n", "predicted,p_ok,p_fault\nfault,0.25,0.75\n", map[string]tabular.Column{"flow": {Name: "FLOW"}, "mode": {Name: "Betrieb"}}, true},
		{"no rows", "flow,mode\n", "flow,mode,predicted,p_ok,p_fault\n", nil, false},
		{"a column that is not there", "Flow,mode\n", `!rows: no column "flow" (an input of the model: --column flow=COLUMN takes it from another); did you mean "Flow"?`, nil, false},
		{"a unit that does not fit", "flow,mode\n", "!--unit flow=degC: degC does not become m3/h", map[string]tabular.Column{"flow": {Unit: "degC"}}, false},
		{"a unit of texts", "flow,mode\n", "!--unit mode=bar: its cells are texts", map[string]tabular.Column{"mode": {Unit: "bar"}}, false},
		{"another unit and other texts", "flow,mode\n0,an\n0,idle\n", "predicted,p_ok,p_fault\nfault,0.25,0.75\nok,0.75,0.25\n", map[string]tabular.Column{"flow": {Unit: "l/s"}, "mode": {Values: map[string]string{"an": "run"}}}, true},
		{"a number that is none", "flow,mode\n1,run\nx,run\n", `!rows:3:1: "x" is no number; if it stands for a missing value: --missing "x"`, nil, false},
		{"beyond what is measured", "flow,mode\n1,run\n1e300,run\n", `!rows:3:1: "1e300" is beyond ±1e+100: its square is not finite; if it stands for a missing value: --missing "1e300"`, nil, true},
		{"no logarithm", "flow,mode\n1,run\n-1,run\n", "!rows:3:1: log1p of -1", nil, true},
	} {
		const ln3 = 1.0986122886681098 // a probability of .75
		got, _ := predicted(t, coef(t, boiler(), 1, -ln3, ln3), c.rows, c.names, c.only)
		if got != c.want && !(strings.HasPrefix(c.want, "!") && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

// With a threshold a class is not the likeliest one.
func TestDecide(t *testing.T) {
	t.Parallel()
	m := coef(t, boiler(), 1, 0, 0)
	p := &Predictor{model: m}
	for _, c := range []struct {
		class    int
		from, is float64 // is the probability of class 1
		want     int
	}{{0, 0, .5, 0}, {0, 0, .6, 1}, {1, .2, .2, 1}, {1, .2, .19, 0}, {0, .7, .4, 1}, {0, .7, .3, 0}} {
		p.Decide(c.class, c.from)
		if got := p.best([]float64{1 - c.is, c.is}); got != c.want {
			t.Errorf("%+v: class %d", c, got)
		}
	}
}

// What was missing is counted, and a text of no value is shown.
func TestSeen(t *testing.T) {
	t.Parallel()
	got, seen := predicted(t, coef(t, boiler(), 1, 0, 0), "flow,mode\n,run\n7,clean\nNA,\n", nil, true)
	if want := "predicted,p_ok,p_fault\nok,0.5,0.5\nfault,0.11111111111111113,0.8888888888888888\nok,0.5,0.5\n"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if seen.Rows != 3 || seen.Empty != 1 || seen.Missing[0] != 2 || seen.Missing[1] != 2 || seen.Unknown[1] != "clean" || seen.Classes["ok"] != 2 {
		t.Errorf("%+v", seen)
	}
}

// What lies far outside of what the model was trained on is counted by feature, of a
// category nothing is.
func TestFar(t *testing.T) {
	t.Parallel()
	s, err := model.NewSchema(model.Spec{Name: "coef", DType: model.F64, Shape: []int{1, 3}}, model.Spec{Name: "intercept", DType: model.F64, Shape: []int{1}},
		model.Spec{Name: model.ZMeanName, DType: model.F64, Shape: []int{3}}, model.Spec{Name: model.ZSDName, DType: model.F64, Shape: []int{3}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := tabular.WithZScore(model.New(s), []float64{20, .001, .999}, []float64{2, .01, .01})
	if err != nil {
		t.Fatal(err)
	}
	c := boiler()
	c.Features, c.Net.Tensors = nil, pipeline.TensorsCoef
	p, err := tabular.NewPredictor(c, m)
	if err != nil {
		t.Fatal(err)
	}
	_, seen := predicted(t, p, "flow,mode\n20,run\n33,run\n-40,idle\n30,run\n,run\n", nil, true)
	if want := []Far{{2, -30}, {}, {}}; !slices.Equal(seen.Far, want) {
		t.Errorf("%v, want %v", seen.Far, want)
	}
	if _, seen = predicted(t, p, "flow,mode\n5,run\n", map[string]tabular.Column{"flow": {Unit: "l/s"}}, true); seen.Far[0].Rows != 0 {
		t.Errorf("18 m3/h: %v", seen.Far)
	}
}

// Rows are a Parquet file in the order of the columns, which is read again as it was.
func TestParquet(t *testing.T) {
	t.Parallel()
	columns := []Column{{Name: "z, last?"}, {Name: "id", Number: true, Whole: true}, {Name: "a", Number: true}}
	rows := [][]Value{
		{{Text: "Fräser"}, {Text: "9007199254740993"}, {Number: 1.5}},
		{{}, {}, {Number: math.NaN()}},
	}
	var b bytes.Buffer
	w := NewParquet(&b, columns)
	for _, row := range rows {
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	tab, err := table.Open(table.FS(fstest.MapFS{"rows": {Data: b.Bytes()}}), "rows", table.Format{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, name := range tab.Names() {
		got = append(got, fmt.Sprint(name, tab.Kind(i)))
	}
	for {
		ok, err := tab.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		for i := range columns {
			got = append(got, tab.Text(i))
		}
	}
	if want := []string{"z, last?0", "id2", "a1", "Fräser", "9007199254740993", "1.5", "", "", ""}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// More rows than go through the model at once come out in their order.
func TestChunks(t *testing.T) {
	t.Parallel()
	rows := "flow,mode\n" + strings.Repeat("0,run\n", chunk) + strings.Repeat("0,idle\n", chunk) + "0,run\n"
	got, seen := predicted(t, coef(t, boiler(), 1, -1, 1), rows, nil, true)
	if seen.Rows != 2*chunk+1 || seen.Classes["fault"] != chunk+1 || strings.Count(got, "\n") != 2*chunk+2 || !strings.Contains(got[strings.LastIndex(got[:len(got)-1], "\n"):], "fault") {
		t.Errorf("%+v", seen)
	}
}

// A prediction is from the rows of the unit up to it, in their order and not that of
// the file; a unit that is shorter than a window has one at its last row.
func TestWindows(t *testing.T) {
	t.Parallel()
	got, seen := predicted(t, coef(t, wear(), 1), "unit,at,t\na,2,3\nb,1,7\na,1,1\na,3,\nc,9,5\n", nil, false)
	want := "unit,at,t,predicted\na,2,3,20\nb,1,7,70\na,1,1,\na,3,,30\nc,9,5,50\n"
	if got != want || seen.Without != 1 {
		t.Errorf("got  %q, %+v\nwant %q", got, seen, want)
	}
	if got, _ = predicted(t, coef(t, wear(), 1), "unit,at,t\na,,1\n", nil, false); !strings.Contains(got, "what orders the rows is missing") {
		t.Errorf("got %q", got)
	}
}

// A site deals its rows to training and test alike, whether it has them as CSV or Parquet.
func TestSplitOfParquet(t *testing.T) {
	t.Parallel()
	csv := bytes.NewBufferString(";at;x;on;y\n")
	var b bytes.Buffer
	w := NewParquet(&b, []Column{{Name: "at"}, {Name: "x", Number: true}, {Name: "on"}, {Name: "y", Number: true, Whole: true}})
	for i := range 60 {
		x := float64(i*7%23) / 4
		fmt.Fprintf(csv, "%d;2026-01-01 10:%02d;%s;%s;%d.0\n", i, i, strings.Replace(fmt.Sprintf("%.3f", x), ".", ",", 1), []string{"True", "FALSE"}[i%2], i%5)
		err := w.Write([]Value{{Text: fmt.Sprintf("2026-01-01T10:%02d:00Z", i)}, {Number: x}, {Text: []string{"true", "false"}[i%2]}, {Text: fmt.Sprint(i % 5)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"t.csv": {Data: []byte(strings.ReplaceAll(csv.String(), ".0\n", ",0\n"))}, "t.parquet": {Data: b.Bytes()}}
	var of []*tabular.Data
	for _, name := range []string{"t.csv", "t.parquet"} {
		d, err := tabular.Load(tabular.FS(fsys), tabular.Config{
			Train: name, Split: &tabular.Split{Share: .3}, Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"x"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		of = append(of, d)
	}
	if a, b := of[0], of[1]; a.Test.N == 0 || !slices.Equal(a.Test.X, b.Test.X) || !slices.Equal(a.Train.X, b.Train.X) {
		t.Errorf("%d and %d test rows: %v, %v", a.Test.N, b.Test.N, a.Test.X, b.Test.X)
	}
}

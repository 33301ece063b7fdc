package tabular_test

import (
	"math"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// A file may have other names and units than the model.
func TestColumns(t *testing.T) {
	t.Parallel()
	c := tabular.Config{
		Train: "t.csv", Split: &tabular.Split{Column: "part"},
		Target:   tabular.Target{Column: "quality"},
		Features: []tabular.Feature{{Columns: []string{"flow", "temp", "rest"}}},
		Columns: map[string]any{
			"flow":    map[string]any{"column": "FLOW_M3H", "unit": "m³/h", "to": "l/s"},
			"temp":    map[string]any{"unit": "°C"},
			"quality": tabular.Column{Name: "QUAL", Unit: "%", To: "1"},
			"part":    "PART",
		},
	}
	d, err := tabular.Load(files("t.csv", "FLOW_M3H,temp,rest,QUAL,PART\n36,20,1,50,train\n,21,2,25,test\n"), c)
	if err != nil {
		t.Fatal(err)
	}
	if x := d.Train.X; math.Abs(x[0]-10) > 1e-12 || x[1] != 20 || math.Abs(d.Train.Y[0]-0.5) > 1e-12 {
		t.Errorf("%v, %v", x, d.Train.Y)
	}
	if !math.IsNaN(d.Test.X[0]) {
		t.Errorf("missing became %v", d.Test.X[0])
	}
	contract, err := c.Contract()
	if err != nil {
		t.Fatal(err)
	}
	want := []pipeline.Input{{Name: "flow", Unit: "l/s"}, {Name: "temp", Unit: "degC"}, {Name: "rest"}}
	for i, in := range contract.Inputs {
		if in.Name != want[i].Name || in.Unit != want[i].Unit {
			t.Errorf("input %+v, want %+v", in, want[i])
		}
	}
	if contract.Target.Name != "quality" || contract.Target.Unit != "1" {
		t.Errorf("target %+v", contract.Target)
	}
	for want, change := range map[string]func(*tabular.Config){
		`columns.flow.to: m3/h does not become degC`:                   func(c *tabular.Config) { c.Columns = map[string]any{"flow": tabular.Column{Unit: "m3/h", To: "degC"}} },
		`columns.flow.to: wants unit beside it`:                        func(c *tabular.Config) { c.Columns = map[string]any{"flow": tabular.Column{To: "degC"}} },
		`columns.FLOW_M3H: is no feature, target or other column`:      func(c *tabular.Config) { c.Columns = map[string]any{"FLOW_M3H": "flow"} },
		`columns.flow.colum: unknown, want column, unit, to or values`: func(c *tabular.Config) { c.Columns = map[string]any{"flow": map[string]any{"colum": "x"}} },
		`columns.temp: want a value`:                                   func(c *tabular.Config) { c.Columns = map[string]any{"temp": nil} },
		`t.csv: no column "FLOW" (features[0].columns, columns.flow`:   func(c *tabular.Config) { c.Columns = map[string]any{"flow": "FLOW", "quality": "QUAL", "part": "PART"} },
	} {
		bad := c
		change(&bad)
		if _, err := tabular.Load(files("t.csv", "FLOW_M3H,temp,rest,QUAL,PART\n"), bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

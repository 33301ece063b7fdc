package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func press() *Contract {
	return &Contract{
		Inputs:   []Input{{Name: "temp", Unit: "degC"}, {Name: "press", Unit: "bar"}, {Name: "flow", Unit: "m3/h"}, {Name: "mode", Values: []string{"idle", "run"}}},
		Features: []Feature{{Of: "temp"}, {Of: "press", SLog: 0.1}, {Of: "flow", MissingFlag: true}, {Of: "mode"}},
		ZClip:    6,
		Target:   Target{Name: "result", Classes: []string{"ok", "worn", "broken"}},
		Net:      Net{Tensors: TensorsLayers, Output: OutputSoftmax},
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*Contract)
		want   []string
	}{
		{func(c *Contract) {}, nil},
		{func(c *Contract) {
			c.Inputs, c.Features = slices.Delete(c.Inputs, 2, 3), slices.Delete(c.Features, 2, 3)
		}, []string{`lyon/press has 3 features, the model has 4: "flow" is missing (lyon/press: temp, press, mode; the model: temp, press, flow, mode)`}},
		{
			func(c *Contract) { c.Inputs[0].Name, c.Features[0].Of = "Temp", "Temp" },
			[]string{`lyon/press has 4 features, the model has 4: "temp" is missing, "Temp" is not in the model (lyon/press: Temp, press, flow, mode; the model: temp, press, flow, mode)`},
		},
		{func(c *Contract) {
			c.Inputs[0], c.Inputs[1] = c.Inputs[1], c.Inputs[0]
			c.Features[0], c.Features[1] = c.Features[1], c.Features[0]
		}, []string{`lyon/press has another order of features: lyon/press: press, temp, flow, mode; the model: temp, press, flow, mode`}},
		{
			func(c *Contract) { c.Features[0], c.Features[2] = c.Features[2], c.Features[0] },
			[]string{`lyon/press has another order of features: lyon/press: flow with missing_flag, press with slog: 0.1, temp as it is, mode as it is; the model: temp as it is, press with slog: 0.1, flow with missing_flag, mode as it is`},
		},
		{
			func(c *Contract) { c.Inputs[0].Unit = "degF" },
			[]string{`lyon/press has "temp" in degF, the model in degC: columns: {temp: {unit: degF, to: degC}} converts it`},
		},
		{
			func(c *Contract) { c.Inputs[0].Unit = "bar" },
			[]string{`lyon/press has "temp" in bar, the model in degC: bar does not become degC: it converts to Pa, hPa, mbar, kPa, MPa, atm, psi`},
		},
		{func(c *Contract) { c.Inputs[2].Unit = "" }, []string{`lyon/press has "flow" in no unit, the model in m3/h: say what the file has, columns: {flow: {unit: ...}}`}},
		{func(c *Contract) { c.Inputs[3] = Input{Name: "mode"} }, []string{`lyon/press has "mode" as a number, the model as a text`}},
		{
			func(c *Contract) { c.Inputs[3].Values = []string{"run", "idle"} },
			[]string{`lyon/press has another order of values of "mode": lyon/press: run, idle; the model: idle, run`},
		},
		{func(c *Contract) { c.Features[1].SLog, c.Features[1].Log1p = 0, true }, []string{`lyon/press reads "press" with log1p, the model with slog: 0.1`}},
		{func(c *Contract) { c.ZClip = 0 }, []string{`lyon/press limits scaled features with zclip: 0, the model has 6`}},
		{
			func(c *Contract) { c.Target.Classes = []string{"worn", "ok", "broken"} },
			[]string{`lyon/press has another order of classes of "result": lyon/press: worn, ok, broken; the model: ok, worn, broken`},
		},
		{
			func(c *Contract) { c.Target.Classes = []string{"ok", "broken"} },
			[]string{`lyon/press has 2 classes of "result", the model has 3: "worn" is missing (lyon/press: ok, broken; the model: ok, worn, broken)`},
		},
		{func(c *Contract) {
			c.Target = Target{Name: "quality", Unit: "%", Scale: 10}
			c.Net.Output = OutputIdentity
		}, []string{
			`lyon/press has the target "quality", the model "result"`, `lyon/press has no classes of "quality", the model ok, worn, broken`,
			`lyon/press has the target "quality" in %, the model in no unit`, `lyon/press scales the target by offset: 0, scale: 10, the model by offset: 0, scale: 1`,
			`lyon/press makes of the tensors (output: identity, tensors: layers), the model (output: softmax, tensors: layers)`,
		}},
		{func(c *Contract) {
			c.Features[2].MissingFlag = false
			c.Window = &Window{Group: []string{"unit"}, Rows: 30, Stats: []string{"mean"}}
		}, []string{`lyon/press reads "flow" as it is, the model with missing_flag`, `lyon/press makes windows of 30 rows (derive), the model has a row of a file a time`}},
	} {
		site := press()
		c.change(site)
		got := Differences("lyon/press", site, press())
		if !slices.Equal(got, c.want) {
			t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
		}
		if (len(got) > 0) == site.Equal(press()) {
			t.Errorf("equal: %v, %d differences", site.Equal(press()), len(got))
		}
	}
}

// Of long lists what is alike is left out, and the rest is not told without an end.
func TestDifferencesOfLongLists(t *testing.T) {
	t.Parallel()
	site, task := press(), press()
	site.Inputs, site.Features, task.Inputs, task.Features = nil, nil, nil, nil
	for i := range 3000 {
		name := fmt.Sprintf("x%d", i)
		task.Inputs = append(task.Inputs, Input{Name: name})
		if i != 1000 {
			site.Inputs = append(site.Inputs, Input{Name: name})
		}
	}
	got := Differences("lyon/press", site, task)
	if len(got) != 1 || !strings.HasPrefix(got[0], `lyon/press has 2999 features, the model has 3000: "x1000" is missing (after 1000 alike, lyon/press: x1001, x1002`) || len(got[0]) > 400 {
		t.Errorf("%q", got)
	}
}

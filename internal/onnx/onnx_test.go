package onnx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

func boiler() (*pipeline.Contract, *model.Model) {
	c := &pipeline.Contract{
		Inputs:   []pipeline.Input{{Name: "flow", Unit: "m3/h"}, {Name: "class"}, {Name: "mode", Values: []string{"idle", "run"}}},
		Features: []pipeline.Feature{{Of: "flow", Clip: 100, MissingFlag: true}, {Of: "mode"}},
		Target:   pipeline.Target{Name: "result", Classes: []string{"ok", "fault"}},
		Net:      pipeline.Net{Tensors: "layers", Output: pipeline.OutputSoftmax},
	}
	return c, filled("layers.0.weight", 2, 4, "layers.0.bias", 2)
}

// filled is an f32 model with the numbers 1, 2, ...; shape is names, each with its dimensions.
func filled(shape ...any) *model.Model {
	var specs []model.Spec
	for _, s := range shape {
		if name, ok := s.(string); ok {
			specs = append(specs, model.Spec{Name: name})
			continue
		}
		last := &specs[len(specs)-1]
		last.Shape = append(last.Shape, s.(int))
	}
	s, err := model.NewSchema(specs...)
	if err != nil {
		panic(err)
	}
	m := model.New(s)
	for i := range len(m.Blob) / 4 {
		binary.LittleEndian.PutUint32(m.Blob[4*i:], math.Float32bits(float32(i+1)))
	}
	return m
}

// parts are the fields of a number in a file's graph.
func parts(t *testing.T, file []byte, number int) (out [][]field) {
	t.Helper()
	top, err := fields(file)
	if err != nil {
		t.Fatal(err)
	}
	graph, err := fields([]byte(text(top, modelGraph)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range graph {
		if int(f.number) == number {
			inner, err := fields(f.value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, inner)
		}
	}
	return out
}

func names(all [][]field, number int) (out []string) {
	for _, f := range all {
		out = append(out, text(f, 1))
		if number != 1 {
			out[len(out)-1] = text(f, tensorName)
		}
	}
	return out
}

// What people see: the inputs of the contract, and outputs with free names.
func TestExport(t *testing.T) {
	c, m := boiler()
	b, err := Export(c, m, `{"task":"boiler"}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(parts(t, b, graphInput), 1); !slices.Equal(got, []string{"flow", "class", "mode"}) {
		t.Errorf("inputs %q", got)
	}
	if got := names(parts(t, b, graphOutput), 1); !slices.Equal(got, []string{"class_", "probabilities"}) {
		t.Errorf("outputs %q", got)
	}
	for _, want := range []string{string(c.JSON()), `{"task":"boiler"}`, "m3/h"} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s is not in the file", want)
		}
	}
	again, err := Export(c, m, `{"task":"boiler"}`, nil)
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("the second time another file (%v)", err)
	}
}

func TestExportRefuses(t *testing.T) {
	for want, change := range map[string]func(*pipeline.Contract, **model.Model){
		"only its own program knows the network of this model: layers.0.bias": func(c *pipeline.Contract, _ **model.Model) { c.Net.Tensors = "" },
		"the model has 5 inputs, the contract 4 features: flow, flow.missing": func(_ *pipeline.Contract, m **model.Model) { *m = filled("layers.0.weight", 2, 5, "layers.0.bias", 2) },
		"the model has 3 outputs, the contract 2 classes":                     func(_ *pipeline.Contract, m **model.Model) { *m = filled("layers.0.weight", 3, 4, "layers.0.bias", 3) },
		"want the tensors layers.0.weight and layers.0.bias":                  func(_ *pipeline.Contract, m **model.Model) { *m = filled("layers.0.weight", 2, 4) },
		"layers.0.weight is [], want [outputs, inputs]":                       func(_ *pipeline.Contract, m **model.Model) { *m = filled("w", 2) },
		"bad contract": func(c *pipeline.Contract, _ **model.Model) { c.Inputs = nil },
	} {
		c, m := boiler()
		change(c, &m)
		if _, err := Export(c, m, "", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// skeleton is somebody else's graph of two tensors, one by another name than ours.
func skeleton(m *model.Model, other string, more ...[]byte) []byte {
	g := newGraph()
	for _, s := range m.Schema {
		g.initializer(s.Name, typeFloat, s.Shape, make([]byte, s.Bytes()))
	}
	g.initializer(other, typeFloat, []int{1}, make([]byte, 4))
	for _, t := range more {
		g.initializers.bytes(graphInitializer, t)
	}
	g.output("y", "", typeDouble, 1, "x")
	return g.model("theirs", [][2]string{{"author", "them"}, {MetaAbout, "old"}})
}

func TestFill(t *testing.T) {
	c, m := boiler()
	b, left, err := Fill(skeleton(m, "const"), c, m, "new")
	if err != nil || left != nil {
		t.Fatal(left, err)
	}
	all := parts(t, b, graphInitializer)
	if got := names(all, tensorName); !slices.Equal(got, []string{"layers.0.bias", "layers.0.weight", "const"}) {
		t.Errorf("initializers %q", got)
	}
	if got := text(all[1], tensorRaw); got != string(m.Bytes("layers.0.weight")) {
		t.Errorf("weights %x", got)
	}
	if !bytes.Contains(b, []byte("them")) || bytes.Contains(b, []byte("old")) || !bytes.Contains(b, c.JSON()) {
		t.Error("want their metadata, and ours in place of what ours was")
	}
	again, _, err := Fill(b, c, m, "new")
	if err != nil || len(again) != len(b) {
		t.Errorf("filled once more: %d bytes, %d before (%v)", len(again), len(b), err)
	}
}

func TestFillRefuses(t *testing.T) {
	c, m := boiler()
	external := tensor("big", typeFloat, []int{9}, nil)
	external.bytes(tensorExternal, nil)
	larger := filled("layers.0.bias", 2, "layers.0.weight", 2, 4, "more", 1)
	for want, graph := range map[string][]byte{
		`no initializer "more"; those without a tensor are ["const"]`: skeleton(m, "const"),
		`"layers.0.weight" is [4 2]`:                                  skeleton(filled("layers.0.bias", 2, "layers.0.weight", 4, 2), "more"),
		`the values of "big" lie in another file`:                     skeleton(m, "more", external),
		"it is no ONNX file":                                          nil,
		"bad skeleton":                                                []byte("PK\x03\x04"),
	} {
		if _, _, err := Fill(graph, c, larger, ""); !errors.Is(err, ErrSkeleton) || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// A counter that no graph has is told, and stops nothing.
func TestFillLeavesCounters(t *testing.T) {
	c, m := boiler()
	schema, err := model.NewSchema(append(slices.Clone(m.Schema), model.Spec{Name: "bn.num_batches_tracked", DType: model.I64, Rule: model.Keep})...)
	if err != nil {
		t.Fatal(err)
	}
	_, left, err := Fill(skeleton(m, "const"), c, model.New(schema), "")
	if err != nil || !slices.Equal(left, []string{"bn.num_batches_tracked"}) {
		t.Errorf("left %q (%v)", left, err)
	}
}

// Control variates of SCAFFOLD are in the model's file, and in no graph.
func TestFillWithoutControlVariates(t *testing.T) {
	c, m := boiler()
	scaffold, err := m.WithControls()
	if err != nil {
		t.Fatal(err)
	}
	if _, left, err := Fill(skeleton(m, "const"), c, scaffold, ""); err != nil || left != nil {
		t.Errorf("left %q (%v)", left, err)
	}
}

func FuzzFill(f *testing.F) {
	c, m := boiler()
	f.Add(skeleton(m, "const"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if out, _, err := Fill(b, c, m, ""); err == nil && !bytes.Contains(out, m.Bytes("layers.0.weight")) {
			t.Error("taken without our weights")
		}
	})
}

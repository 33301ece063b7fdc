package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fedmq/fedmq/internal/onnx"
	"github.com/fedmq/fedmq/internal/predict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
)

// A distance is said in few digits, however far it is.
func TestSaidOfFar(t *testing.T) {
	t.Parallel()
	pipe, err := pipeline.New(pipeline.Contract{Inputs: []pipeline.Input{{Name: "flow"}}, Target: pipeline.Target{Name: "y"}, Net: pipeline.Net{Tensors: pipeline.TensorsCoef, Output: pipeline.OutputIdentity}})
	if err != nil {
		t.Fatal(err)
	}
	for most, want := range map[float64]string{-7.6: "at most 8: ", 1234.4: "at most 1234: ", 1e99: "at most 1e+99: "} {
		said := saidOf(predict.Seen{Rows: 2, Missing: []int{0}, Unknown: []string{""}, Far: []predict.Far{{Rows: 1, Most: most}}}, pipe)
		if len(said) != 2 || !strings.Contains(said[0], want) {
			t.Errorf("%v: %q, want %q", most, said, want)
		}
	}
}

// cmdMklinear writes a linear model with the contract in a file: mklinear file contract coef...
func cmdMklinear(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: mklinear file contract coef...")
	}
	var coef []float64
	for _, a := range args[2:] {
		v, err := strconv.ParseFloat(a, 64)
		ts.Check(err)
		coef = append(coef, v)
	}
	s, err := model.NewSchema(model.Spec{Name: "coef", DType: model.F64, Shape: []int{1, len(coef)}}, model.Spec{Name: "intercept", DType: model.F64, Shape: []int{1}})
	ts.Check(err)
	m := model.New(s)
	ts.Check(m.SetFloat64s("coef", coef))
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(m.WriteSafetensors(f, map[string]string{onnx.MetaContract: strings.TrimSpace(ts.ReadFile(args[1]))}))
	ts.Check(f.Close())
}

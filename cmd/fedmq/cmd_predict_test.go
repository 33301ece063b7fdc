package main

import (
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fedmq/fedmq/internal/onnx"
	"github.com/fedmq/fedmq/model"
)

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

package main

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/fedmq/fedmq/internal/onnx"
	"github.com/fedmq/fedmq/internal/predict"
	"github.com/fedmq/fedmq/internal/table"
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

// A Parquet file begins as one, however long the names of its columns are.
func TestPredictWideParquet(t *testing.T) {
	t.Parallel()
	tab, err := table.Open(table.FS(fstest.MapFS{"t.csv": {Data: []byte("a,b\n1,2\n")}}), "t.csv", table.Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { check(t, tab.Close()) }()
	var b bytes.Buffer
	w, err := (&predictCmd{Out: "wide.Parquet"}).writer(&b, []predict.Column{{Name: strings.Repeat("long", 5000)}}, tab)
	if err != nil {
		t.Fatal(err)
	}
	check(t, errors.Join(w.Write([]predict.Value{{Text: "x"}}), w.Close()))
	if !bytes.HasPrefix(b.Bytes(), []byte("PAR1")) {
		t.Fatalf("begins with %.20q", b.Bytes())
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

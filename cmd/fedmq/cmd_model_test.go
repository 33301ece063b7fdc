package main

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/model"
)

// cmdMkmodel writes a safetensors file of random values: mkmodel file values
// seed.
func cmdMkmodel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: mkmodel file values seed")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	seed, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	s, err := model.NewSchema(model.Spec{Name: "w", Shape: []int{n}}, model.Spec{Name: "scale", DType: model.F64, Shape: []int{2}, Rule: model.Keep})
	ts.Check(err)
	rng := rand.New(rand.NewPCG(seed, 1))
	values := make([]float32, n)
	for i := range values {
		values[i] = rng.Float32() - 0.5
	}
	m := model.New(s)
	ts.Check(m.SetFloat32s("w", values))
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(m.WriteSafetensors(f, nil))
	ts.Check(f.Close())
}

// cmdClear clears a retained topic on the script's broker: clear topic.
func cmdClear(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: clear topic")
	}
	ctx := context.Background()
	cl, err := clientFlags{Broker: "tcp://127.0.0.1:" + ts.Getenv("PORT")}.connect(ctx, zerolog.Nop(), "clear")
	ts.Check(err)
	ts.Check(cl.conn.Publish(ctx, link.Message{Topic: args[0], QoS: 1, Retained: true}))
	ts.Check(cl.stop())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

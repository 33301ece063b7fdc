package strategy_test

import (
	"math"
	"testing"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/strategy"
)

// BenchmarkFedAvg is one update of a million values, and the model after it.
func BenchmarkFedAvg(b *testing.B) {
	schema := mustSchema(b, model.Spec{Name: "w", Shape: []int{1_000_000}})
	base, delta := model.New(schema), model.New(schema)
	fill(base, func(i int) float64 { return math.Sin(float64(i)) })
	fill(delta, func(i int) float64 { return math.Cos(float64(i)) })
	g := fold.Grid{B: 6, W: 20}
	room := make([]byte, len(base.Blob))
	a := begin(b, base, g)
	for name, fn := range map[string]func() error{
		"check": func() error { return a.Check(update(delta, 3)) },
		"add": func() (err error) {
			a, err = strategy.Registry{}.Begin(round(base, g), a)
			a.Add(update(delta, 3))
			return err
		},
		"result": func() error { _, err := a.Result(nil, func(int) []byte { return room }); return err },
	} {
		b.Run(name, func(b *testing.B) {
			a.Add(update(delta, 1))
			b.SetBytes(int64(len(base.Blob)))
			b.ReportAllocs()
			for b.Loop() {
				if err := fn(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

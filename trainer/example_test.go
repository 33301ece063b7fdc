package trainer_test

import (
	"context"
	"fmt"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// line fits y = w·x + b to the rows of one site.
type line struct{ x, y []float64 }

func (l line) Samples() int { return len(l.x) }

func (l line) Train(ctx context.Context, job trainer.Job, global *model.Model) (*model.Model, error) {
	set := struct {
		Steps int     `json:"steps"`
		LR    float64 `json:"lr"`
	}{Steps: 1, LR: 0.1}
	if err := job.Decode(&set); err != nil {
		return nil, err
	}
	p, err := global.Float32s("line") // [w, b]
	if err != nil {
		return nil, err
	}
	w, b := float64(p[0]), float64(p[1])
	for range set.Steps {
		var dw, db float64
		for i, x := range l.x {
			e := w*x + b - l.y[i]
			dw += e * x
			db += e
		}
		w -= set.LR * dw / float64(len(l.x))
		b -= set.LR * db / float64(len(l.x))
	}
	local := global.Clone()
	return local, local.SetFloat32s("line", []float32{float32(w), float32(b)})
}

// A Trainer in Go. Two sites hold parts of the line y = 2x + 1 and train in
// turn, each on what the other made of the model; a federation would average
// the two instead.
func Example() {
	schema, _ := model.NewSchema(model.Spec{Name: "line", DType: model.F32, Shape: []int{2}})
	m := model.New(schema)
	sites := []trainer.Trainer{
		line{x: []float64{0, 1}, y: []float64{1, 3}},
		line{x: []float64{-1, 2}, y: []float64{-1, 5}},
	}
	for round := range 100 {
		for _, s := range sites {
			m, _ = s.Train(context.Background(), trainer.Job{Round: uint64(round + 1)}, m)
		}
	}
	p, _ := m.Float32s("line")
	fmt.Printf("y = %.2f x + %.2f\n", p[0], p[1])
	// Output: y = 2.00 x + 1.00
}

package tabular

import (
	"context"
	"math"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// Score evaluates m on the test rows of d. Pool of the result is the score;
// results of several Data can be pooled too.
func Score(ctx context.Context, m *model.Model, d *Data) (trainer.Metrics, error) {
	rows := &d.Test
	n, err := newNetwork(m, d, rows.N)
	if err != nil {
		return nil, err
	}
	out := trainer.Metrics{trainer.SumN: 0, trainer.SumLoss: 0}
	cells := make([][]float64, n.classes)
	for i := range cells {
		cells[i] = make([]float64, n.classes)
	}
	want, at := make([]float64, chunkRows), make([]int, 0, chunkRows)
	for from := 0; from < rows.N; from += chunkRows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		at = at[:0]
		for i := from; i < min(from+chunkRows, rows.N); i++ {
			at = append(at, i)
		}
		n.load(want, rows, d.pipe, at)
		n.forward(len(at))
		out[trainer.SumLoss] += n.loss(want[:len(at)], 1)
		z := n.act[len(n.layers)]
		for i, row := range at {
			if n.classes > 0 {
				cells[int(want[i])][top(z[i*n.classes:(i+1)*n.classes])]++
			} else {
				addErrors(out, rows.Y[row], d.pipe.Target(z[i]))
			}
		}
	}
	if n.classes > 0 {
		out.AddConfusion(cells)
	} else if rows.N > 0 {
		y := momentsOf(rows.Y, 1)
		out[trainer.MeanY], out[trainer.M2Y] = y.Mean[0], y.M2[0]
	}
	return out, nil
}

// top returns the position of the largest value, the first of equals.
func top(z []float64) int {
	at := 0
	for j, v := range z {
		if v > z[at] {
			at = j
		}
	}
	return at
}

func addErrors(m trainer.Metrics, y, predicted float64) {
	e := predicted - y
	m[trainer.SumN]++
	m[trainer.SumSE] += float64(e * e)
	m[trainer.SumAE] += math.Abs(e)
}

package tabular

import (
	"context"
	"math"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// Score evaluates m on the test rows of d. Pool of the result is the score;
// results of several Data can be pooled too.
func Score(ctx context.Context, m *model.Model, d *Data) (trainer.Evaluation, error) {
	rows := &d.Test
	n, err := newNetwork(m, d, rows.N)
	if err != nil {
		return trainer.Evaluation{}, err
	}
	out := trainer.Metrics{trainer.SumN: float64(rows.N), trainer.SumLoss: 0}
	var counts *trainer.Counts
	if n.classes > 0 {
		counts = trainer.NewCounts(n.classes, true)
	}
	want, at := make([]float64, chunkRows), make([]int, 0, chunkRows)
	for from := 0; from < rows.N; from += chunkRows {
		if err := ctx.Err(); err != nil {
			return trainer.Evaluation{}, err
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
				of := z[i*n.classes : (i+1)*n.classes]
				likely := top(of)
				softmax(of)
				counts.Add(int(want[i]), likely, of)
			} else {
				addErrors(out, rows.Y[row], d.pipe.Target(z[i]))
			}
		}
	}
	if counts != nil {
		out[trainer.SumCorrect], out[trainer.SumLogLoss] = float64(counts.Correct()), out[trainer.SumLoss]
	} else if rows.N > 0 {
		y := momentsOf(rows.Y, 1)
		out[trainer.MeanY], out[trainer.M2Y] = y.Mean[0], y.M2[0]
	}
	return trainer.Evaluation{Metrics: out, Counts: counts}, nil
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

// softmax turns outputs into probabilities.
func softmax(z []float64) {
	most, sum := z[top(z)], 0.0
	for j, v := range z {
		z[j] = math.Exp(v - most)
		sum += z[j]
	}
	for j := range z {
		z[j] /= sum
	}
}

func addErrors(m trainer.Metrics, y, predicted float64) {
	e := predicted - y
	m[trainer.SumSE] += float64(e * e)
	m[trainer.SumAE] += math.Abs(e)
	m[trainer.SumE] += e
}

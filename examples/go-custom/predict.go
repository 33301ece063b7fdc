package main

import (
	"errors"
	"math"
	"os"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// promise is the model as this program computes with it.
type promise struct {
	weight, bias, mean, sd []float32
}

func read(m *model.Model) (p promise, err error) {
	var errs [4]error
	p.weight, errs[0] = m.Float32s("weight")
	p.bias, errs[1] = m.Float32s("bias")
	p.mean, errs[2] = m.Float32s("scale.mean")
	p.sd, errs[3] = m.Float32s("scale.sd")
	if err := errors.Join(errs[:]...); err != nil {
		return p, err
	}
	if len(p.weight) != features || len(p.mean) != features || len(p.sd) != features || len(p.bias) != 1 {
		return p, errors.New("the model of this task has other features")
	}
	return p, nil
}

// write returns base with the trained tensors.
func (p promise) write(base *model.Model) (*model.Model, error) {
	out := base.Clone()
	return out, errors.Join(out.SetFloat32s("weight", p.weight), out.SetFloat32s("bias", p.bias))
}

// scaled is feature i of a row, within 4 deviations: other fleets' engines may
// be far from those that gave the scaling.
func (p promise) scaled(r row, i int) float64 {
	z := (r.x[i] - float64(p.mean[i])) / float64(p.sd[i])
	return min(max(z, -4), 4)
}

// flights is how many flights the model promises.
func (p promise) flights(r row) float64 {
	y := float64(p.bias[0])
	for i, w := range p.weight {
		y += float64(w) * p.scaled(r, i)
	}
	return horizon * y
}

// step goes down the pinball loss of one row.
func (p promise) step(r row, s settings) {
	slope := -s.Quantile // a promise too small costs little
	if p.flights(r) > r.left {
		slope = 1 - s.Quantile
	}
	for i := range p.weight {
		p.weight[i] -= float32(s.LR * slope * p.scaled(r, i))
	}
	p.bias[0] -= float32(s.LR * slope)
}

// judge sums over rows what sites pool, and finds the share of promises kept.
func judge(m *model.Model, rows []row, quantile float64) (sums trainer.Metrics, kept float64, err error) {
	p, err := read(m)
	if err != nil {
		return nil, 0, err
	}
	sums = trainer.Metrics{trainer.SumN: float64(len(rows))}
	for _, r := range rows {
		d := r.left - p.flights(r)
		sums[trainer.SumLoss] += max(quantile*d, (quantile-1)*d) // in flights
		sums[trainer.SumAE] += math.Abs(d)
		if d >= 0 {
			kept++
		}
	}
	return sums, kept / float64(len(rows)), nil
}

// save writes a model whole or not at all.
func save(path string, m *model.Model) error {
	f, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	if err := errors.Join(m.WriteSafetensors(f, nil), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

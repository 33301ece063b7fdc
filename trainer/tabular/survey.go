package tabular

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
)

// Survey counts the values of every feature over the training rows, as base asks.
func (t *Trainer) Survey(_ context.Context, _ trainer.Job, base *model.Model) (*model.Model, error) {
	if err := t.ready(); err != nil {
		return nil, err
	}
	v, ok := model.SurveyOf(base.Schema)
	if !ok || v.Features != len(t.data.Features) {
		return nil, fmt.Errorf("tabular: the model is no survey of %d features", len(t.data.Features))
	}
	lo, err := base.Float64s(model.SurveyLo)
	if err != nil {
		return nil, err
	}
	hi, err := base.Float64s(model.SurveyHi)
	if err != nil {
		return nil, err
	}
	m, out := t.data.Moments(), map[string][]float64{}
	out[model.StatNName], out[model.StatMeanName], out[model.StatM2Name] = m.N, m.Mean, m.M2
	missing, counts := make([]float64, v.Features), make([]float64, v.Features*(2+v.Bins))
	for j, n := range m.N {
		missing[j] = float64(t.data.Train.N) - n
	}
	each(t.data.Train.X, v.Features, func(j int, x float64) {
		if lo[j] < hi[j] {
			counts[j*(2+v.Bins)+fold.Bin(x, lo[j], hi[j], v.Bins)]++
		}
	})
	out[model.SurveyMissing], out[model.SurveyCounts] = missing, counts
	if v.Extremes {
		out[model.SurveyMin], out[model.SurveyMax] = t.data.extremes(m.N)
	}
	told := model.New(v.Update())
	for name, x := range out {
		err = errors.Join(err, told.SetFloat64s(name, x))
	}
	return told, err
}

// extremes are the least and the greatest training value of each feature, 0 where there
// are none.
func (d *Data) extremes(n []float64) (least, most []float64) {
	least, most = make([]float64, len(n)), make([]float64, len(n))
	for j := range n {
		if n[j] > 0 {
			least[j], most[j] = math.Inf(1), math.Inf(-1)
		}
	}
	each(d.Train.X, len(n), func(j int, x float64) { least[j], most[j] = min(least[j], x), max(most[j], x) })
	return least, most
}

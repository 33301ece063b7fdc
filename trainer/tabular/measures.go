package tabular

import (
	"maps"
	"slices"

	"github.com/fedmq/fedmq/trainer"
)

var _ trainer.Measuring = (*Trainer)(nil)

// Measures are the scores of a classification or of a regression, nil as long as it is not
// known which it is: those of a few rows as [Score] tells of them.
func (t *Trainer) Measures() []string {
	if t.data.pipe == nil || !t.data.Predicts() {
		return nil
	}
	e := trainer.Evaluation{Metrics: trainer.Metrics{trainer.SumN: 2, trainer.SumLoss: 1}}
	if classes := len(t.data.Classes); classes > 0 {
		e.Counts = trainer.NewCounts(classes, true)
		p := make([]float64, classes)
		p[0] = 1
		for i := range classes {
			e.Counts.Add(i, 0, p)
		}
		e.Metrics[trainer.SumN], e.Metrics[trainer.SumCorrect], e.Metrics[trainer.SumLogLoss] = float64(classes), 1, 1
	} else {
		addErrors(e.Metrics, 0, 1)
		e.Metrics[trainer.MeanY], e.Metrics[trainer.M2Y] = 0, 2
	}
	return slices.Sorted(maps.Keys(e.Scores()))
}

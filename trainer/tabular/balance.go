package tabular

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fedmq/fedmq/model"
)

// classWeightBalanced is a value of Settings.ClassWeight.
const classWeightBalanced = "balanced"

var errClassWeight = errors.New("tabular: settings: class_weight: it is for a classification: the target has no classes")

// classRows is how many training rows each class has.
func (d *Data) classRows() []float64 {
	n := make([]float64, len(d.Classes))
	for _, y := range d.Train.Y {
		n[int(y)]++
	}
	return n
}

// balance is what a row of each class counts, so that all classes count the same: rows /
// (classes · rows of the class), over the rows of all sites, which the model has from the
// statistics round. Outside a federation, where it has none, they are those of d.
func balance(m *model.Model, d *Data) ([]float64, error) {
	if len(d.Classes) == 0 {
		return nil, errClassWeight
	}
	if m.Schema.Index(model.ClassRowsName) < 0 {
		return nil, fmt.Errorf("tabular: settings: class_weight: the model has no tensor %s for the rows of each class: "+
			"the aggregator makes it of model: {softmax, mlp} with class_weight in its train and statistics: zscore", model.ClassRowsName)
	}
	rows, err := m.Float64s(model.ClassRowsName)
	if err != nil {
		return nil, fmt.Errorf("tabular: %w", err)
	}
	if len(rows) != len(d.Classes) {
		return nil, fmt.Errorf("tabular: %s has %d values, want %d: one for each class", model.ClassRowsName, len(rows), len(d.Classes))
	}
	if slices.Max(rows) <= 0 {
		rows = d.classRows()
	}
	var all, classes float64
	for _, n := range rows {
		if n > 0 {
			all, classes = all+n, classes+1
		}
	}
	for k, n := range rows {
		if n > 0 {
			rows[k] = all / (classes * n)
		}
	}
	return rows, nil
}

package tabular_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// Load describes rows, Fit trains on them, Score judges the result.
func Example() {
	fsys := fstest.MapFS{"presses.csv": {Data: []byte(`press,force,temperature,ok,split
P1,10,200,yes,train
P1,11,240,no,train
P1,10,210,yes,train
P2,99,999,no,train
P1,12,,no,train
P1,10,205,yes,test
P1,12,250,no,test
`)}}
	d, err := tabular.Load(tabular.FS(fsys), tabular.Config{
		Train:    "presses.csv",
		Where:    map[string]any{"press": "P1"},
		Split:    &tabular.Split{Column: "split"},
		Target:   tabular.Target{Column: "ok", Classes: []any{"no", "yes"}},
		Features: []tabular.Feature{{Columns: []string{"force", "temperature"}}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	m, _ := model.Arch{Kind: "softmax", Inputs: 2, Outputs: 2}.New(true)
	mean, sd := d.Moments().ZScore()
	m, _ = tabular.WithZScore(m, mean, sd)
	m, _ = tabular.Fit(ctx, m, d, tabular.Settings{Epochs: 100, LR: 0.1}, trainer.Seed(1, "P1", 1), nil)
	sums, _ := tabular.Score(ctx, m, d)
	fmt.Println(d.Train.N, "rows; accuracy", sums.Scores()["accuracy"])
	// Output: 4 rows; accuracy 1
}

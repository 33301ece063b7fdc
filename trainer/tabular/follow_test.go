package tabular_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// A config without features reads what the contract of the task says, in its order.
func TestFollow(t *testing.T) {
	t.Parallel()
	task := &pipeline.Contract{
		Inputs:   []pipeline.Input{{Name: "flow", Unit: "m3/h"}, {Name: "mode", Values: []string{"idle", "run"}}, {Name: "temp"}},
		Features: []pipeline.Feature{{Of: "temp", Clip: 5}, {Of: "flow"}, {Of: "mode", MissingFlag: true}},
		ZClip:    6, Target: pipeline.Target{Name: "y", Classes: []string{"ok", "bad"}}, Net: pipeline.Net{Tensors: pipeline.TensorsLayers, Output: pipeline.OutputSoftmax},
	}
	c := tabular.Config{Train: "t.csv", Where: map[string]any{"part": "a"}, Columns: map[string]any{"flow": map[string]any{"column": "FLOW", "unit": "l/s"}, "part": "PART"}}
	const csv = "PART,temp,FLOW,mode,y\na,9,1,run,ok\nb,1,1,run,ok\na,1,,idle,bad\na,2,1,idle,\n"
	tr, err := tabular.Open(files("t.csv", csv), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !trainer.Follows(tr) || trainer.ContractOf(tr) != nil || tr.Samples() != 3 || len(tr.Spreads()) != 0 || !strings.Contains(tr.Summary().String(), "no features are listed") {
		t.Errorf("before: %d rows, contract %v, %s", tr.Samples(), trainer.ContractOf(tr), tr.Summary())
	}
	if _, err := tr.Train(t.Context(), trainer.Job{}, &model.Model{}); err == nil || !strings.Contains(err.Error(), "features are listed nowhere") {
		t.Errorf("trains: %v", err)
	}
	for _, no := range []struct {
		c    *pipeline.Contract
		hash model.Hash
		want string
	}{
		{nil, model.Hash{1}, "whose message may have no room for them: want a larger part_size at the aggregator"},
		{nil, model.Hash{}, "this site lists no features, and none have come with the task's model"},
		{task, model.Hash{}, "this site lists no features, and none have come with the task's model"},
		{task, model.Hash{1}, "this site lists no features, and none have come with the task's model"},
	} {
		if err := trainer.Follow(tr, no.c, no.hash); err == nil || !strings.Contains(err.Error(), no.want) {
			t.Errorf("%v: %v", no.hash, err)
		}
	}
	for range 2 {
		if err := trainer.Follow(tr, task, task.Hash()); err != nil {
			t.Fatal(err)
		}
	}
	if got := trainer.ContractOf(tr); got.Hash() != task.Hash() || tr.Samples() != 2 || !slices.Equal(tr.Features(), []string{"temp", "flow", "mode=idle", "mode=run", "mode.missing"}) {
		t.Errorf("%d rows, features %q, contract %s", tr.Samples(), tr.Features(), got.JSON())
	}
	own, err := c.Of(task)
	if err != nil {
		t.Fatal(err)
	}
	d, err := tabular.Load(files("t.csv", csv), own)
	if err != nil {
		t.Fatal(err)
	}
	if want := []float64{5, 3.6, 0, 1, 0, 1}; !same(d.Train.X[:6], want) {
		t.Errorf("%v, want %v", d.Train.X, want)
	}
	// What the site says itself has to be the same.
	c.Target = tabular.Target{Column: "y", Classes: []any{"bad", "ok"}}
	if _, err := c.Of(task); err == nil || !strings.Contains(err.Error(), `this site has another order of classes of "y"`) {
		t.Error(err)
	}
	c.Target, c.Columns = tabular.Target{}, map[string]any{"speed": "SPEED"}
	if _, err := c.Of(task); err == nil || !strings.Contains(err.Error(), "columns.speed: is no feature, target or other column") {
		t.Error(err)
	}
	if trainer.Follows(must(tabular.Open(files("t.csv", "x,y\n1,2\n"), xy("t.csv"), nil))) {
		t.Error("a config with features follows")
	}
}

func must(t *tabular.Trainer, _ error) *tabular.Trainer { return t }

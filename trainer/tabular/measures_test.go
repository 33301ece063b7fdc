package tabular_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// What a trainer says that it measures is what follows from its evaluation.
func TestMeasures(t *testing.T) {
	t.Parallel()
	const csv = "x,y,c,split\n1,3,a,0\n2,5,b,0\n3,7,c,0\n1,3,a,1\n2,5,b,1\n4,9,c,1\n"
	for name, c := range map[string]struct {
		target  tabular.Target
		kind    string
		outputs int
	}{
		"regression":    {tabular.Target{Column: "y"}, "linear", 1},
		"two classes":   {tabular.Target{Column: "c", Classes: []any{"a", "b"}}, "softmax", 2},
		"three classes": {tabular.Target{Column: "c", Classes: []any{"a", "b", "c"}}, "softmax", 3},
	} {
		text := csv
		if c.outputs == 2 {
			text = "x,y,c,split\n1,3,a,0\n2,5,b,0\n1,3,a,1\n2,5,b,1\n"
		}
		tr, err := tabular.Open(files("t.csv", text), tabular.Config{
			Train: "t.csv", Split: &tabular.Split{Column: "split", Train: 0, Test: 1}, Target: c.target, Features: []tabular.Feature{{Columns: []string{"x"}}},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		m, err := model.Arch{Kind: c.kind, Inputs: 1, Outputs: c.outputs}.New(false)
		if err != nil {
			t.Fatal(err)
		}
		e, err := tr.Evaluate(t.Context(), trainer.Job{}, m)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := trainer.MeasuresOf(tr), slices.Sorted(maps.Keys(e.Scores())); !slices.Equal(got, want) || len(got) < 5 {
			t.Errorf("%s: %v, measured are %v", name, got, want)
		}
	}
	follower, err := tabular.Open(files("t.csv", csv), tabular.Config{Train: "t.csv"}, nil)
	if err != nil || follower.Measures() != nil {
		t.Errorf("a target that is told later: %v, %v", follower.Measures(), err)
	}
}

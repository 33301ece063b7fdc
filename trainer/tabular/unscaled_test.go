package tabular_test

import (
	"strings"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// A model that scales nothing is not given a feature in the thousands without a word; one
// with a z-score is, and so is any model where all features are near 1.
func TestCaution(t *testing.T) {
	t.Parallel()
	with := func(zscore bool) *model.Model {
		m, err := model.Arch{Kind: "linear", Inputs: 2, Outputs: 1}.New(zscore)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for name, c := range map[string]struct {
		csv  string
		want string
	}{
		"mean":      {"part,flow,y\n1,900,1\n2,1100,1\n", "the model is given flow as it is, with a mean of 1000 and a deviation of 100: "},
		"deviation": {"part,flow,y\n-500,9,1\n500,11,1\n", "the model is given part as it is, with a mean of 0 and a deviation of 500: "},
		"largest":   {"part,flow,y\n-500,900,1\n-500,1100,1\n", "the model is given flow as it is"},
		"near 1":    {"part,flow,y\n-50,60,1\n50,70,1\n", ""},
	} {
		tr, err := tabular.Open(files("t.csv", c.csv), tabular.Config{
			Train: "t.csv", Features: []tabular.Feature{{Columns: []string{"part", "flow"}}}, Target: tabular.Target{Column: "y"},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := trainer.CautionOf(tr, with(false))
		if !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") || got != tr.Unscaled() || got != "" && !strings.Contains(got, "statistics: zscore") {
			t.Errorf("%s: %q", name, got)
		}
		if got := trainer.CautionOf(tr, with(true)); got != "" {
			t.Errorf("%s, with a z-score: %q", name, got)
		}
	}
	follower, err := tabular.Open(files("t.csv", "part,flow,y\n1,900,1\n"), tabular.Config{Train: "t.csv"}, nil)
	if err != nil || follower.Unscaled() != "" {
		t.Errorf("features that are told later: %q, %v", follower.Unscaled(), err)
	}
}

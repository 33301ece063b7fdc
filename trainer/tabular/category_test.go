package tabular_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/trainer/tabular"
)

func TestCategories(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	const csv = "x,tool,y\n1,A,1\n2, b ,2\n,None,3\n4,C,4\n5,C,5\n6,a,6\n7,None,7\n"
	c := xy("t.csv")
	c.Features = append(c.Features, tabular.Feature{Columns: []string{"tool"}, Categories: []any{"A", "b"}, MissingFlag: true})
	d, err := tabular.Load(files("t.csv", csv), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"x", "tool=A", "tool=b", "tool.missing"}; !slices.Equal(d.Features, want) {
		t.Errorf("features %q, want %q", d.Features, want)
	}
	want := []float64{1, 1, 0, 0, 2, 0, 1, 0, nan, nan, nan, 1, 4, nan, nan, 1, 5, nan, nan, 1, 6, nan, nan, 1, 7, nan, nan, 1}
	if !same(d.Train.X, want) {
		t.Errorf("got %v, want %v", d.Train.X, want)
	}
	if want := `[features: 3 cells of "tool" are none of its categories, and count as missing: "C" (2), "a" (1); if "a" is "A": columns: {tool: {values: {"a": "A"}}}]`; fmt.Sprint(d.Notes) != want {
		t.Errorf("notes %s, want %s", d.Notes, want)
	}
	// None is a word for a missing value, but not where it is a category.
	c.Features[1].Categories = []string{"A", "b", "None", "C", "a"}
	if d, err = tabular.Load(files("t.csv", csv), c); err != nil || len(d.Notes) > 0 || d.Train.X[2*7+3] != 1 {
		t.Errorf("%v, notes %v", err, d)
	}
	for _, bad := range []struct {
		categories any
		want       string
	}{
		{"auto", "features[1].categories: auto cannot be"},
		{"A", "want a list of texts"},
		{[]any{}, "want 1 to 256 texts, not 0"},
		{make([]string, 300), "not 300"},
		{[]any{"A", " A "}, `categories[1]: "A" is there twice`},
		{[]any{"A", ""}, "categories[1]: is empty"},
		{[]any{"A", []any{}}, "categories[1]"},
		{7, "want a list of texts"},
	} {
		c.Features[1].Categories = bad.categories
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%v: %v, want %s", bad.categories, err, bad.want)
		}
	}
	c.Features[1] = tabular.Feature{Columns: []string{"tool"}, Categories: []any{"A"}, Clip: 1}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "texts have no clip") {
		t.Error(err)
	}
	c.Features[1] = tabular.Feature{Columns: []string{"x"}, Categories: []any{"A"}, MissingFlag: true}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "x is there") {
		t.Error(err)
	}
}

// The share of a window's rows in a category is its mean.
func TestCategoriesOfWindows(t *testing.T) {
	t.Parallel()
	c := tabular.Config{
		Train: "t.csv", Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"mode"}, Categories: []any{"run", "idle"}}},
		Derive: &tabular.Derive{Group: []string{"u"}, Window: 4, Stats: []string{"mean"}},
	}
	d, err := tabular.Load(files("t.csv", "u,mode,y\n1,run,0\n1,run,0\n1,idle,0\n1,run,0\n"), c)
	if err != nil || !slices.Equal(d.Train.X, []float64{.75, .25}) || !slices.Equal(d.Features, []string{"mode=run.mean", "mode=idle.mean"}) {
		t.Errorf("%v, %v", d, err)
	}
}

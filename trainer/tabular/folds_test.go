package tabular_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/trainer/tabular"
)

// The folds part the rows: each is a test row once, each class is dealt evenly, and
// groups stay whole.
func TestFold(t *testing.T) {
	t.Parallel()
	var csv strings.Builder
	csv.WriteString("run,split,x,y\n")
	for i := range 60 {
		fmt.Fprintf(&csv, "r%d,%s,%d,%d\n", i/4, []string{"train", "test"}[i%2], i, i%3/2)
	}
	c := tabular.Config{
		Train: "a.csv", Split: &tabular.Split{Column: "split"}, Target: tabular.Target{Column: "y", Classes: []any{0, 1}}, Features: []tabular.Feature{{Columns: []string{"x"}}},
	}
	for _, together := range [][]string{nil, {"run"}} {
		c.Together = together
		d, err := tabular.Load(files("a.csv", csv.String()), c)
		if err != nil {
			t.Fatal(err)
		}
		var seen []float64
		for k := range 5 {
			f, err := d.Fold(k, 5, 1)
			if err != nil {
				t.Fatal(err)
			}
			again, err := d.Fold(k, 5, 1)
			if err != nil || !slices.Equal(f.Test.X, again.Test.X) {
				t.Error("the same seed deals otherwise, or", err)
			}
			seen = append(seen, f.Test.X...)
			ones := 0
			for _, y := range f.Test.Y {
				ones += int(y)
			}
			if f.Train.N+f.Test.N != 60 || f.Test.N != 12 || together == nil && ones != 4 {
				t.Errorf("%v: fold %d has %d and %d rows, %d of class 1", together, k, f.Train.N, f.Test.N, ones)
			}
			for _, x := range f.Test.X {
				for _, y := range f.Train.X {
					if together != nil && int(x)/4 == int(y)/4 {
						t.Errorf("fold %d: rows %v and %v of one run are apart", k, x, y)
					}
				}
			}
		}
		slices.Sort(seen)
		for i, x := range seen {
			if x != float64(i) {
				t.Fatalf("%v: the test rows of all folds are %v", together, seen)
			}
		}
		other, err := d.Fold(0, 5, 2)
		if first, _ := d.Fold(0, 5, 1); err != nil || slices.Equal(first.Test.X, other.Test.X) {
			t.Error("another seed deals the same, or", err)
		}
	}
	c.Together = []string{"run"}
	d, err := tabular.Load(files("a.csv", csv.String()), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Fold(0, 1, 1); err == nil || !strings.Contains(err.Error(), "1 folds of 15") {
		t.Error(err)
	}
	empty := 0
	for k := range 16 {
		f, err := d.Fold(k, 16, 1)
		if err != nil || f.Train.N+f.Test.N != 60 {
			t.Fatalf("%d and %d rows: %v", f.Train.N, f.Test.N, err)
		}
		if f.Test.N == 0 {
			empty++
		}
	}
	if empty != 1 {
		t.Errorf("%d of 16 folds of 15 groups are empty", empty)
	}
	c.Together = []string{"ran"}
	if _, err := tabular.Load(files("a.csv", csv.String()), c); err == nil || !strings.Contains(err.Error(), "ran") {
		t.Error(err)
	}
}

// Windows of one unit are in one fold.
func TestFoldWindows(t *testing.T) {
	t.Parallel()
	var csv strings.Builder
	csv.WriteString("unit,x,y\n")
	for i := range 40 {
		fmt.Fprintf(&csv, "%d,%d,%d\n", i/8, i, i/8)
	}
	d, err := tabular.Load(files("a.csv", csv.String()), tabular.Config{
		Train: "a.csv", Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"x"}}},
		Derive: &tabular.Derive{Group: []string{"unit"}, Window: 3, Stats: []string{"mean"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.Fold(2, 5, 7)
	if err != nil {
		t.Fatal(err)
	}
	if f.Test.N != 6 || slices.Min(f.Test.Y) != slices.Max(f.Test.Y) || slices.Contains(f.Train.Y, f.Test.Y[0]) {
		t.Errorf("test rows of the units %v, training rows of %v", f.Test.Y, f.Train.Y)
	}
}

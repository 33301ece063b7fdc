package tabular_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/trainer/tabular"
)

func TestSummary(t *testing.T) {
	t.Parallel()
	var csv strings.Builder
	csv.WriteString("id,a,b,copy,k,far,big,leak,near,y,n\n")
	for i := range 200 {
		y := "ok"
		if i%20 == 3 {
			y = "bad"
		}
		far := float64(i % 3)
		if i == 100 {
			far = 1e6
		}
		leak := map[string]int{"ok": i % 7, "bad": 10 + i%7}[y]
		a := fmt.Sprint(i * 37 % 101)
		if i%50 == 0 {
			a = ""
		}
		fmt.Fprintf(&csv, "%d,%s,%d.5,%s,7,%v,%d,%d,%v,%s,%d\n", 1000+i, a, i%11, a, far, i*7919%1000*100000, leak, float64(i*13%200)+.001*float64(i%5), y, i*13%200)
	}
	load := func(target tabular.Target, columns ...string) tabular.Summary {
		t.Helper()
		d, err := tabular.Load(files("t.csv", csv.String()), tabular.Config{
			Train: "t.csv", Split: &tabular.Split{Share: .2}, Target: target, Features: []tabular.Feature{{Columns: columns}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return d.Summary()
	}
	has := func(s tabular.Summary, want ...string) {
		t.Helper()
		text := s.String()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("no %q in\n%s", w, text)
			}
		}
	}
	classes := tabular.Target{Column: "y", Classes: []any{"ok", "bad", "lost"}}
	s := load(classes, "a", "b", "copy", "k", "far", "big", "id")
	if s.Train+s.Test != 200 || s.TrainOf[0]+s.TrainOf[1] != s.Train || s.TestOf[0]+s.TestOf[1] != s.Test || s.Features[0].Missing == 0 || s.Features[1].Min != .5 || s.Features[1].Max != 10.5 {
		t.Errorf("%+v", s)
	}
	has(s, "duplicate  a and copy are the same in every row", "constant   k\n", "the class bad is rare, ", "no training row is of the class lost",
		"far is from 0 to 1e+06, and without 1 of its 200 values from 0 to 2: see clip and zclip, or", "features are of very different sizes, big of ", "id counts up from row to row", "  class      ok: ", "  file       t.csv\n")
	if strings.Contains(s.String(), "apart") {
		t.Errorf("a leak where none is:\n%s", s)
	}
	two := tabular.Target{Column: "y", Classes: []any{"ok", "bad"}}
	has(load(two, "leak", "b"), "leak alone tells the two classes apart without an error")
	has(load(tabular.Target{Column: "n"}, "near", "b"), "near nearly is the target (correlation 1.0000)", "target     mean ")
	has(load(tabular.Target{Column: "n", Scale: 1e-6}, "b"), "see target.offset and target.scale")
	three := tabular.Target{Column: "k3", Classes: []any{"0", "1", "2"}}
	d, err := tabular.Load(files("t.csv", "x,k3\n"+strings.Repeat("0,0\n5.1,1\n5,1\n9,2\n0.1,0\n9.1,2\n", 10)), tabular.Config{Train: "t.csv", Target: three, Features: []tabular.Feature{{Columns: []string{"x"}}}})
	if err != nil {
		t.Fatal(err)
	}
	has(d.Summary(), "x alone nearly tells the classes apart", "no test rows")
	if d, err = tabular.Load(files("t.csv", "x,y\n1,2\n"), xy("t.csv")); err != nil {
		t.Fatal(err)
	}
	has(d.Summary(), tabular.NoTestRows, "1 training rows for 1 features: too few to learn from alone")
}

package tabular_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

func xy(train string) tabular.Config {
	return tabular.Config{Train: train, Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"x"}}}}
}

// Files of one task may be written by several programs.
func TestSeveralFiles(t *testing.T) {
	t.Parallel()
	open := files("2026-02.csv", "y;x\n4;3,5\n6", "2026-01.csv", "x,y\n1,2\n", "2026-03.csv", "\xff\xfex\x00,\x00y\x00\n\x005\x00,\x006\x00", "other.csv", "y\n1\n")
	d, err := tabular.Load(open, xy("2026-*.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []float64{1, 3.5, 5}; !slices.Equal(d.Train.X, want) {
		t.Errorf("got %v, want %v", d.Train.X, want)
	}
	var about []string
	for _, f := range d.Files {
		about = append(about, f.Name+": "+f.About)
	}
	if want := "[2026-01.csv:  2026-02.csv: semicolons, decimal commas 2026-03.csv: utf-16le]"; fmt.Sprint(about) != want {
		t.Errorf("about %v, want %s", about, want)
	}
	if want := `2026-02.csv: the last line, "6", is not whole and was left out`; len(d.Notes) != 1 || d.Notes[0] != want {
		t.Errorf("notes %q, want %s", d.Notes, want)
	}
	for pattern, want := range map[string]string{
		"*.csv":     `other.csv: no column "x" (features[0].columns)`,
		"none*.csv": "train: no file matches none*.csv",
		"[":         "train: [",
	} {
		if _, err := tabular.Load(open, xy(pattern)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", pattern, err, want)
		}
	}
	c := xy("2026-*.csv")
	c.Test = "2026-03.csv"
	if _, err := tabular.Load(open, c); err == nil || !strings.Contains(err.Error(), "train: 2026-*.csv matches 2026-03.csv too, a file of test") {
		t.Errorf("a file of both: %v", err)
	}
}

// A file that comes to be is a change of the data.
func TestReloadSeveralFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	replace(t, filepath.Join(dir, "a.csv"), 3)
	c := xy("*.csv")
	c.Reload = "round"
	tr, err := tabular.Open(tabular.Dir(dir), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, filepath.Join(dir, "b.csv"), 4)
	if err := tr.Refresh(t.Context(), trainer.Job{Round: 1}); err != nil || tr.Samples() != 7 {
		t.Errorf("%d rows, %v, want 7", tr.Samples(), err)
	}
	if err := os.Remove(filepath.Join(dir, "a.csv")); err != nil {
		t.Fatal(err)
	}
	if err := tr.Refresh(t.Context(), trainer.Job{Round: 2}); err != nil || tr.Samples() != 4 {
		t.Errorf("%d rows, %v, want 4", tr.Samples(), err)
	}
}

// A share of the rows is dealt by what is in them.
func TestShare(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf("%d,%d,%d", i/10, i, i%7))
	}
	load := func(lines []string, change func(*tabular.Config)) *tabular.Data {
		t.Helper()
		c := xy("t.csv")
		c.Split = &tabular.Split{Share: .2}
		change(&c)
		d, err := tabular.Load(files("t.csv", "u,x,y\n"+strings.Join(lines, "\n")+"\n"), c)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	d := load(lines, func(*tabular.Config) {})
	if n := d.Test.N; d.Train.N+n != len(lines) || math.Abs(float64(n)-1000) > 100 {
		t.Errorf("%d and %d rows", d.Train.N, n)
	}
	mixed := slices.Concat(lines[3000:], lines[:3000], lines) // in another order, and each twice
	e := load(mixed, func(*tabular.Config) {})
	if e.Test.N != 2*d.Test.N {
		t.Errorf("%d test rows of rows that are there twice, want %d", e.Test.N, 2*d.Test.N)
	}
	seen := map[float64]bool{}
	for _, x := range d.Test.X {
		seen[x] = true
	}
	for _, x := range e.Test.X {
		if !seen[x] {
			t.Fatalf("%v is a test row in one order only", x)
		}
	}
	if few := load([]string{"5,5,5", "5,5,5"}, func(*tabular.Config) {}); few.Test.N > 0 || len(few.Notes) != 1 || !strings.HasPrefix(few.Notes[0], "split.share: no row is a test row") {
		t.Errorf("%d test rows of one row that is there twice, notes %q", few.Test.N, few.Notes)
	}
	u := load(lines, func(c *tabular.Config) {
		c.Derive = &tabular.Derive{Group: []string{"u"}, Window: 10, Stats: []string{"mean"}, Test: "all"}
	})
	if u.Train.N+u.Test.N != 500 || u.Test.N < 60 || u.Test.N > 140 {
		t.Errorf("%d and %d windows of ten rows: a unit is on both sides", u.Train.N, u.Test.N)
	}
}

// Rows of a unit may be put in order by their times.
func TestOrderByTime(t *testing.T) {
	t.Parallel()
	c := xy("t.csv")
	c.Derive = &tabular.Derive{Group: []string{"u"}, Order: "t", Window: 3, Stats: []string{"slope"}}
	d, err := tabular.Load(files("t.csv", "u;t;x;y\n1;2026-01-01 10:00;5;0\n1;2026-01-01T09:00:00Z;2,5;0\n1;2026-01-01;0;0\n"), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := []float64{7.5}; !slices.Equal(d.Train.X, want) {
		t.Errorf("slope %v, want %v", d.Train.X, want)
	}
	_, err = tabular.Load(files("t.csv", "u,t,x,y\n1,noon,5,0\n"), c)
	if err == nil || !strings.Contains(err.Error(), `tabular: t.csv:2:3: "noon" is neither a number nor an ISO time`) {
		t.Error(err)
	}
}

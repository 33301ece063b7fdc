package tabular_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/trainer/tabular"
)

// trainers are those of sites with a file each.
func trainers(t *testing.T, c tabular.Config, contents ...string) (list []*tabular.Trainer) {
	t.Helper()
	for i, content := range contents {
		c.Train = fmt.Sprintf("%d.csv", i)
		tr, err := tabular.Open(files(c.Train, content), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, tr)
	}
	return list
}

// rowsOf writes 40 rows of a column x, a text and a target.
func rowsOf(text string, x func(i int) float64) string {
	var b strings.Builder
	b.WriteString("x,tool,y\n")
	for i := range 40 {
		fmt.Fprintf(&b, "%v,%s%d,%d\n", x(i), text, i%2, i%7)
	}
	return b.String()
}

// Classes that may be exchanged at a site, in rows for training and testing.
func TestCompareClasses(t *testing.T) {
	t.Parallel()
	rows := func(usual, rare string) string {
		var b strings.Builder
		b.WriteString("x,y\n")
		for i := range 50 {
			fmt.Fprintf(&b, "%d,%s\n", i*7%(13+len(usual)), map[bool]string{true: rare, false: usual}[i == 7])
		}
		return b.String()
	}
	c := tabular.Config{Split: &tabular.Split{Share: .3}, Target: tabular.Target{Column: "y", Classes: []any{"ok", "bad"}}, Features: []tabular.Feature{{Columns: []string{"x"}}}}
	got := tabular.Compare([]string{"s0", "s1"}, trainers(t, c, rows("ok", "bad"), rows("bad", "ok")))
	if len(got) != 1 || !strings.HasPrefix(got[0], "bad of y has 2 % of the rows at s0, 98 % at s1: are bad and ok exchanged at one of them?") {
		t.Errorf("%q", got)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	c := tabular.Config{Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{
		{Columns: []string{"x"}, Log1p: true}, {Columns: []string{"tool"}, Categories: []any{"a0", "a1", "b0", "b1"}},
	}}
	degC := func(i int) float64 { return 20 + float64(i*7%11) }
	degF := func(i int) float64 { return 32 + 1.8*(21+float64(i*5%11)) }
	a, b, f := rowsOf("a", degC), rowsOf("b", degC), rowsOf("a", degF)
	for _, x := range []struct {
		name    string
		columns map[string]any
		sites   []string
		want    []string
	}{
		{"one site", nil, []string{a}, nil},
		{
			"another unit", nil,
			[]string{a, rowsOf("a", func(i int) float64 { return 20 + float64(i*3%11) }), f},
			[]string{"x has mean 78.98 and deviation 5.8 at s2, 25.05 and 3.2 at s0: as degF beside degC. If their units differ: columns: {x: {unit: degF, to: degC}} at s2, {x: {unit: degC}} at s0, s1, each below tabular: in the site's file"},
		},
		{"the unit is said", map[string]any{"x": map[string]any{"unit": "degC"}}, []string{a, f}, nil},
		{"texts of one site each", nil, []string{a, strings.ReplaceAll(b, "1,", "2,")}, []string{`no two sites share a text of tool (s0 "a0", s1 "b0")`}},
		{"the same rows", nil, []string{a, f, a}, []string{"s0 and s2 have the same 40 rows (0.csv, 2.csv): each counts twice", "as degF beside degC"}},
	} {
		c.Columns = x.columns
		list := trainers(t, c, x.sites...)
		got := tabular.Compare([]string{"s0", "s1", "s2"}[:len(list)], list)
		if len(got) != len(x.want) {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], x.want[i]) {
				t.Errorf("%s: %q, want %q", x.name, got[i], x.want[i])
			}
		}
	}
}

// Rows without a target are left out and counted, a class may be a word for missing.
func TestMissingTarget(t *testing.T) {
	t.Parallel()
	const csv = "u,x,y\na,1,ok\na,2,\nb,3,None\nb,4,i.O.\nb,5,?\n"
	c := tabular.Config{
		Train: "t.csv", Features: []tabular.Feature{{Columns: []string{"x"}}},
		Target:  tabular.Target{Column: "y", Classes: []any{"ok", "None"}},
		Columns: map[string]any{"y": map[string]any{"values": map[string]any{"i.O.": "ok"}}},
	}
	d, err := tabular.Load(files("t.csv", csv), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"target: 2 rows have no y, and are left out; the first is at t.csv:3:5"}; !slices.Equal(d.Train.X, []float64{1, 3, 4}) ||
		!slices.Equal(d.Train.Y, []float64{0, 1, 0}) || !slices.Equal(d.Notes, want) || d.Train.N != 3 {
		t.Errorf("%+v, notes %q", d.Train, d.Notes)
	}
	c.Columns = nil
	if _, err = tabular.Load(files("t.csv", csv), c); err == nil || !strings.Contains(err.Error(), `t.csv:5:5: "i.O." is none of target.classes; if it is one of them in other letters: columns: {y: {values: {"i.O.": CLASS}}}; if it stands for a missing value: missing: ["i.O."]`) {
		t.Error(err)
	}
	// A window has the rows in it that have none, and does not end with one.
	c.Target, c.Derive = tabular.Target{Column: "y"}, &tabular.Derive{Group: []string{"u"}, Window: 2, Stats: []string{"mean"}}
	d, err = tabular.Load(files("t.csv", "u,x,y\na,1,1\na,2,\na,3,3\na,4,\n"), c)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"target: 2 windows end with a row that has no y, and are left out"}; !slices.Equal(d.Train.X, []float64{2.5}) || !slices.Equal(d.Train.Y, []float64{3}) || !slices.Equal(d.Notes, want) {
		t.Errorf("%+v, notes %q", d.Train, d.Notes)
	}
	for want, values := range map[string]any{
		`columns.y.values: "o.k." is none of the model's texts for it, ["ok" "bad"]`: map[string]any{"i.O.": "o.k."},
		"columns.y.values: want a text of the file and the model's for it":           []any{"ok"},
		"columns.x.values: are for texts that the model knows":                       nil,
	} {
		c := tabular.Config{Train: "t.csv", Features: c.Features, Target: tabular.Target{Column: "y", Classes: []any{"ok", "bad"}}}
		c.Columns = map[string]any{"y": map[string]any{"values": values}}
		if values == nil {
			c.Columns = map[string]any{"x": map[string]any{"values": map[string]any{"1": "2"}}}
		}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Test rows are looked at as those for training are.
func TestSummaryOfTestRows(t *testing.T) {
	t.Parallel()
	rows := func(x, y string) string {
		var b strings.Builder
		b.WriteString("x,y\n")
		for i := range 200 {
			fmt.Fprintf(&b, "%d.5,%d\n", i*7%13, i%10)
		}
		return b.String() + x + "," + y + "\n"
	}
	for _, c := range []struct{ name, test, want string }{
		{"plain", rows("4.5", "5"), ""},
		{"the target", rows("3", "-999"), "the target y is from -999 to 9, and without 1 of its 402 values from 0 to 9: a slip of the hand"},
		{"a feature", rows("1e30", "4"), "x is from 0.5 to 1e+30, and without 1 of its 402 values from 0.5 to 12.5: see clip and zclip"},
	} {
		d, err := tabular.Load(files("t.csv", rows("3", "4"), "s.csv", c.test), tabular.Config{
			Train: "t.csv", Test: "s.csv", Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"x"}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if said := d.Summary().Warnings; len(said) > 1 || !strings.HasPrefix(strings.Join(said, ""), c.want) || c.want == "" && len(said) > 0 {
			t.Errorf("%s: %q, want %q", c.name, said, c.want)
		}
	}
}

// What a category's feature has is no outlier, and a target may have one.
func TestSummaryOfOddValues(t *testing.T) {
	t.Parallel()
	var csv strings.Builder
	csv.WriteString("x,tool,y\n")
	for i := range 500 {
		tool, y := "A", i%10
		if i == 250 {
			tool, y = "b", 4000
		}
		fmt.Fprintf(&csv, "%d,%s,%d\n", i*7%13, tool, y)
	}
	c := tabular.Config{Train: "t.csv", Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"x"}}, {Columns: []string{"tool"}, Categories: []any{"A", "b", "B"}}}}
	d, err := tabular.Load(files("t.csv", csv.String()), c)
	if err != nil {
		t.Fatal(err)
	}
	text := d.Summary().String()
	for _, want := range []string{"the target y is from 0 to 4000, and without 1 of its 500 values from 0 to 9: a slip of the hand", `"b" and "B" of tool differ in capital letters, blanks or zeros alone`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "tool=b lies") {
		t.Errorf("an outlier of a category:\n%s", text)
	}
}

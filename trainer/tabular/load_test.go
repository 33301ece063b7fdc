package tabular_test

import (
	"bytes"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fedmq/fedmq/trainer/tabular"
)

// files makes a file system of names and contents.
func files(pairs ...string) tabular.Files {
	fsys := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fsys[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return tabular.FS(fsys)
}

func zip(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// same compares numbers bit by bit, except that all NaN are one.
func same(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) })
}

const table = "site,unit,split,label,x, y ,z\n" +
	"A,1,train,ok,1,2,-999\n" +
	"A,2,test,bad,,5,999\n" +
	"B,2.0,train,bad,7,NaN,0\n" +
	"\"B\",03,val,ok,8,na,1\n" +
	"C,4,train,ok,9,1e2,3\n" +
	"D,2.5,no,ok,0,0,6\n"

func TestLoadRows(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	base := tabular.Config{Train: "t.csv", Target: tabular.Target{Column: "z"}, Features: []tabular.Feature{{Columns: []string{"x", "y"}}}}
	for _, c := range []struct {
		name        string
		change      func(*tabular.Config)
		train, test []float64 // x, y, target of each row
	}{
		{"everything", func(*tabular.Config) {}, []float64{1, 2, -999, nan, 5, 999, 7, nan, 0, 8, nan, 1, 9, 100, 3, 0, 0, 6}, nil},
		{"a text", func(c *tabular.Config) { c.Where = map[string]any{"site": "B"} }, []float64{7, nan, 0, 8, nan, 1}, nil},
		{"numbers letter by letter", func(c *tabular.Config) { c.Where = map[string]any{"unit": []any{uint64(2), 3.0}} }, []float64{nan, 5, 999}, nil},
		{"text letter by letter", func(c *tabular.Config) { c.Where = map[string]any{"unit": []any{"2", "3"}} }, []float64{nan, 5, 999}, nil},
		{"a range", func(c *tabular.Config) { c.Where = map[string]any{"unit": "2..3"} }, []float64{nan, 5, 999, 7, nan, 0, 8, nan, 1}, nil},
		{"two conditions", func(c *tabular.Config) { c.Where = map[string]any{"unit": "2..4", "site": []any{"A", "C"}} }, []float64{nan, 5, 999, 9, 100, 3}, nil},
		{"no row", func(c *tabular.Config) { c.Where = map[string]any{"site": "E"} }, nil, nil},
		{"split", func(c *tabular.Config) { c.Split = &tabular.Split{Column: "split"} }, []float64{1, 2, -999, 7, nan, 0, 9, 100, 3}, []float64{nan, 5, 999}},
		{"split by values", func(c *tabular.Config) {
			c.Split = &tabular.Split{Column: "unit", Train: []any{uint64(1), uint64(2), "2.0"}, Test: "3..4"}
		}, []float64{1, 2, -999, nan, 5, 999, 7, nan, 0}, []float64{8, nan, 1, 9, 100, 3}},
		{"test file, same where", func(c *tabular.Config) {
			c.Test, c.Where = "u.csv", map[string]any{"site": "A"}
		}, []float64{1, 2, -999, nan, 5, 999}, []float64{30, 20, 10}},
		{"test file, own where", func(c *tabular.Config) {
			c.Test, c.Where, c.TestWhere = "u.csv", map[string]any{"site": "A"}, map[string]any{}
		}, []float64{1, 2, -999, nan, 5, 999}, []float64{30, 20, 10, 60, 50, 40}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			open := files("t.csv", "\xef\xbb\xbf"+table, "u.csv", zip(t, "z,y,x,site\n10,20,30,A\n40,50,60,B\n"))
			cfg := base
			c.change(&cfg)
			d, err := tabular.Load(open, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := flat(d.Train); !same(got, c.train) {
				t.Errorf("train: got %v, want %v", got, c.train)
			}
			if got := flat(d.Test); !same(got, c.test) {
				t.Errorf("test: got %v, want %v", got, c.test)
			}
		})
	}
}

// Codes and long numbers are other rows than their neighbours, and rows that
// only the letters leave out are told.
func TestLetters(t *testing.T) {
	t.Parallel()
	const codes = "id,x,y\n008,1,1\n010,2,2\n8,3,3\n10,4,4\n12e3,5,5\n12000,6,6\n" +
		"20260101000000001,7,7\n20260101000000002,8,8\n20260101000000003,9,9\n1.0,10,10\n1,11,11\n 010 ,12,12\n5.50,13,13\n"
	for _, c := range []struct {
		id    any
		rows  []float64 // x
		notes string
	}{
		{"010", []float64{2, 12}, ""},
		{"008", []float64{1}, ""},
		{"8", []float64{3}, ""},
		{"12e3", []float64{5}, `where.id: rows with "12000" are left out, since the value is "12e3"`},
		{"20260101000000001", []float64{7}, ""},
		{"20260101000000001..20260101000000002", []float64{7, 8}, ""},
		{"8..10", []float64{1, 2, 3, 4, 12}, ""},
		{"008..0000010", []float64{1, 2, 3, 4, 12}, ""},
		{"1", []float64{11}, `where.id: rows with "1.0" are left out, since the value is "1"`},
		{[]any{"1", "1.0"}, []float64{10, 11}, ""},
		{"1..1", []float64{10, 11}, ""},
		{"5..6", nil, ""}, // 5.50 is no whole number
		{"05", nil, `where.id: no row has "05"`},
		{[]any{"8", "9", "11"}, []float64{3}, `where.id: no row has "11" or "9"`},
		{"0010", nil, `where.id: rows with "010" are left out, since the value is "0010"`},
	} {
		d, err := tabular.Load(files("t.csv", codes), tabular.Config{
			Train: "t.csv", Where: map[string]any{"id": c.id}, Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"x"}}},
		})
		if err != nil {
			t.Errorf("%v: %v", c.id, err)
			continue
		}
		if notes := strings.Join(d.Notes, "\n"); !slices.Equal(d.Train.X, c.rows) || !strings.HasPrefix(notes, c.notes) || (notes == "") != (c.notes == "") {
			t.Errorf("%v: rows %v, want %v; notes %q, want %q", c.id, d.Train.X, c.rows, notes, c.notes)
		}
	}
	_, err := tabular.Load(files("t.csv", codes), tabular.Config{
		Train: "t.csv", Where: map[string]any{"id": "10..8"}, Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"x"}}},
	})
	if want := "where.id: the range 10..8 is empty: its first number is the larger"; err == nil || err.Error() != want {
		t.Errorf("a range that is empty: %v, want %s", err, want)
	}
	_, err = tabular.Load(files("t.csv", codes), tabular.Config{
		Train: "t.csv", Target: tabular.Target{Column: "id", Classes: []any{"8", "008", "10"}}, Features: []tabular.Feature{{Columns: []string{"x"}}},
	})
	if err == nil || !strings.Contains(err.Error(), `t.csv:3:1: "010" is none of target.classes, where it is "10": classes are compared letter by letter`) {
		t.Errorf("a class in other letters: %v", err)
	}
}

// flat lists inputs and target of each row.
func flat(r tabular.Rows) []float64 {
	var out []float64
	for i := range r.N {
		dim := len(r.X) / r.N
		out = append(append(out, r.X[i*dim:(i+1)*dim]...), r.Y[i])
	}
	return out
}

// The formulas of the wells3w data set, written out.
func TestFeatures(t *testing.T) {
	t.Parallel()
	d, err := tabular.Load(files("t.csv", table), tabular.Config{
		Train:  "t.csv",
		Target: tabular.Target{Column: "label", Classes: []any{"bad", "ok"}},
		Features: []tabular.Feature{
			{Columns: []string{"z"}, Clip: 100, SLog: 10},
			{Columns: []string{"x"}, Log1p: true, MissingFlag: true},
		},
		ZClip: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"z", "x", "x.missing"}; !slices.Equal(d.Features, want) {
		t.Errorf("features %v, want %v", d.Features, want)
	}
	nan := math.NaN()
	want := []float64{
		-math.Log10(1 + 10.), math.Log1p(1), 0, 1,
		math.Log10(1 + 10.), nan, 1, 0,
		0, math.Log1p(7), 0, 0,
		math.Log10(1 + .1), math.Log1p(8), 0, 1,
		math.Log10(1 + .3), math.Log1p(9), 0, 1,
		math.Log10(1 + .6), 0, 0, 1,
	}
	if got := flat(d.Train); !same(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	base := tabular.Config{Train: "t.csv", Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"x"}}}}
	for _, c := range []struct {
		name, file string
		change     func(*tabular.Config)
		want       []string
	}{
		{"no file", "", func(c *tabular.Config) { c.Train = "missing.csv" }, []string{"missing.csv"}},
		{"empty", "", nil, []string{"t.csv", "header"}},
		{"header only column missing", "x,Y\n", nil, []string{"t.csv", `"y"`, "target.column"}},
		{"feature missing", "y\n", nil, []string{`"x"`, "features[0].columns"}},
		{"condition missing", "x,y\n", func(c *tabular.Config) { c.Where = map[string]any{"site": "A"} }, []string{`"site"`, "where.site"}},
		{"column twice", "x,y,x\n", nil, []string{"t.csv", `"x"`, "features[0].columns", "twice, as columns 1 and 3"}},
		{"not a number", "x,y\n1,2\n\n3 ,4\n1,5\n abc,4\n", nil, []string{"t.csv:6:2", "abc"}},
		{"infinite", "x,y\n+Inf,2\n", nil, []string{"t.csv:2:1", "finite"}},
		{"too large", "x,y\n1e308,2\n", nil, []string{"t.csv:2:1", `"1e308" is beyond`, `missing: ["1e308"]`}},
		{"too large a target", "x,y\n1,-1e101\n", nil, []string{"t.csv:2:3", `"-1e101" is beyond`}},
		{"unknown class", "x,y\n1,ok\n5,odd\n", func(c *tabular.Config) { c.Target.Classes = []any{"ok", "bad"} }, []string{"t.csv:3:3", "odd", "target.classes"}},
		{"too few cells", "x,y\n1\n", nil, []string{"t.csv:2", "1 cells, where the header has 2", "separator"}},
		{"open quote", "x,y\n\"1,2\n", nil, []string{"t.csv:2", `"\"1" is no number`}},
		{"open quote over lines", "x,y\n\"1,2\n3,4\n", nil, []string{"t.csv:", "quote"}},
		{"log of too little", "x,y\n-1,2\n", func(c *tabular.Config) { c.Features = []tabular.Feature{{Columns: []string{"x"}, Log1p: true}} }, []string{"t.csv:2:1", "log1p"}},
		{"long line", "x,y\n" + strings.Repeat("7", 2<<20) + ",1\n", nil, []string{"t.csv", "longer than"}},
		{"long header", strings.Repeat("x", 2<<20), nil, []string{"t.csv", "longer than"}},
		{"cut off gzip", "\x1f\x8b\x08\x00", nil, []string{"t.csv"}},
		{"bad config", "x,y\n", func(c *tabular.Config) { c.ZClip = -1 }, []string{"zclip"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := base
			if c.change != nil {
				c.change(&cfg)
			}
			_, err := tabular.Load(files("t.csv", c.file), cfg)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%.300q does not say %q", err, part)
				}
			}
		})
	}
}

func TestDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "t.csv"), []byte("x,y\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := tabular.Config{Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"x"}}}}
	for _, name := range []string{"t.csv", filepath.Join(dir, "t.csv")} {
		cfg.Train = name
		if d, err := tabular.Load(tabular.Dir(dir), cfg); err != nil || d.Train.N != 1 {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
}

package table

import (
	"strings"
	"testing"
	"testing/fstest"
)

// Sums below a table are no rows of it; a word for one that is a value is.
func TestFooter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, content, want, note string }{
		{"a sum", "n,x,y\na,1,2\nb,3,4\nTotal,4,6\n", "1 2 3 4", `t.csv:4: "Total" in column "n": the end of the file is a sum or mean`},
		{"German, behind numbers", "x;y;n\n1;2;\n3;4;\n4;6;Summe:\n", "1 2 3 4", `"Summe:" in column "n"`},
		{"several, and lines without a cell", "n,x,y\na,1,2\nb,3,4\n,,\nMean,2,3\n,,\nGrand Total,4,6\n,,\n", "1 2 3 4 - -", `t.csv:5: "Mean"`},
		{"with rows behind it", "n,x,y\na,1,2\nb,3,4\ntotal,4,6\nc,5,6\n", "1 2 3 4 4 6 5 6", ""},
		{"a value", "n,x,y\na,1,2\nb,3,4\ntotal,5,6\nc,7,8\ntotal,9,1\n", "1 2 3 4 5 6 7 8 9 1", ""},
		{"a value from the first on", "n,x,y\nsum,1,2\nb,3,4\nsum,5,6\n", "1 2 3 4 5 6", ""},
		{"a table of two", "n,x,y\na,1,2\ntotal,1,2\n", "1 2 1 2", ""},
		{"a number that is none behind it", "n,x,y\na,1,2\nb,3,4\ntotal,5,6\nc,bad!,8\n", `!t.csv:5: "bad!"`, ""},
	} {
		table := check(t, c.content, Format{}, c.want)
		if notes := strings.Join(table.Notes(), ";"); c.note == "" && notes != "" || !strings.Contains(notes, c.note) {
			t.Errorf("%s: notes %q, want %q", c.name, notes, c.note)
		}
	}
	check(t, "n,x,y\na,1,2\nb,3,4\ntotal,bad!,6\nc,5,6\n", Format{}, `!t.csv:4: "bad!"`)
}

// Errors name what the person can change.
func TestFlags(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"x,y\nclosed,2\n":              `"closed" is no number; if it stands for a missing value: --missing "closed"`,
		"x,y\n1e400,2\n":               `--missing "1e400"`,
		"x,y\n5 bar,2\n":               `--missing "5 bar"`,
		"x,y\n2024-01-01 00:00:00,2\n": "is a time and no number",
		"x\ty\n1,500\t2\n":             `want --decimal "," for the first`,
		"x;y\n1,5;2.5\n":               `which is it? (--decimal "." or ",")`,
		"x;y\n1;2;3\n":                 "semicolons (--separator)",
		"x;y\n1;2\n# end\n":            `if it is a comment: --comment "#"`,
		"x\n1\n":                       "cut at commas (--separator)",
	} {
		_, _, err := read(content, Format{Flags: true})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "derive") || strings.Contains(err.Error(), "categories") {
			t.Errorf("%q: %v, want %s", content, err, want)
		}
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"1.5", "1.50", "+1.5", "15e-1", "01,5"},
		{"0", "-0", "0.0"},
		{"-2", "−2.0"},
		{"true", "TRUE", "True"},
		{"NA", "None", "nan", ""},
		{"2026-01-01 10:00:00", "2026-01-01T10:00", "2026-01-01T11:00:00+01:00"},
		{"Fräser", " Fräser "},
		{"Säge"},
		{"1.5 bar"},
	} {
		for _, cell := range same {
			tab, err := Open(FS(fstest.MapFS{"t.csv": {Data: []byte("x;y\n" + cell + ";1\n")}}), "t.csv", Format{})
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := tab.Next(); !ok || err != nil {
				t.Fatal(cell, err)
			}
			first, err := Open(FS(fstest.MapFS{"t.csv": {Data: []byte("x;y\n" + same[0] + ";1\n")}}), "t.csv", Format{})
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := first.Next(); !ok || err != nil {
				t.Fatal(cell, err)
			}
			if a, b := tab.Canonical(0), first.Canonical(0); a != b {
				t.Errorf("%q: %q, of %q it is %q", cell, a, same[0], b)
			}
		}
	}
}

func TestAlike(t *testing.T) {
	t.Parallel()
	got := Alike([]string{"ok", "n. i. O.", "OK", "n.i.O.", "fault", "1", "010", "10", "1.0", "-1", "1,5"})
	if len(got) != 3 || got[2] != [2]string{"1", "1.0"} || got[0] != [2]string{"ok", "OK"} || got[1] != [2]string{"n. i. O.", "n.i.O."} {
		t.Errorf("%q", got)
	}
}

package table

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/fstest"
)

func TestLook(t *testing.T) {
	t.Parallel()
	files := FS(fstest.MapFS{
		"a.csv": {Data: []byte("sep=;\r\nt;x;tool;ok;nr;;s;s;result\r\n2026-01-01 10:00;1,5;drill;TRUE;1;;a;b;0\r\n2026-01-01 10:01;-2,5;mill;false;2;;a;b;1\r\n2026-01-01 10:02;N/A;drill;true;3;;a;b;0\r\n")},
		"b.csv": {Data: []byte("t;x;tool;ok;nr;extra;result\n2026-01-02 10:00;closed;saw;TRUE;4;9;0\n")},
	})
	s, err := Look(files, "*.csv", Format{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range s.Columns {
		got = append(got, fmt.Sprintf("%s: %d missing, %d numbers (%d whole), %d booleans, %d times, texts %v, unique %v, rising %v", c.Name, c.Missing, c.Numbers, c.Whole, c.Booleans, c.Times, c.Texts, c.Unique, c.Rising))
	}
	want := `t: 0 missing, 0 numbers (0 whole), 0 booleans, 4 times, texts map[], unique true, rising false
x: 1 missing, 2 numbers (0 whole), 0 booleans, 0 times, texts map[closed:1], unique true, rising false
tool: 0 missing, 0 numbers (0 whole), 0 booleans, 0 times, texts map[drill:2 mill:1 saw:1], unique false, rising false
ok: 0 missing, 0 numbers (0 whole), 4 booleans, 0 times, texts map[], unique false, rising false
nr: 0 missing, 4 numbers (4 whole), 0 booleans, 0 times, texts map[], unique true, rising true
result: 0 missing, 4 numbers (4 whole), 0 booleans, 0 times, texts map[], unique false, rising false`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if s.Format.Separator != ";" || s.Format.Decimal != "," || s.Rows != 4 {
		t.Errorf("format %+v, %d rows", s.Format, s.Rows)
	}
	if c := s.Column(" x "); c == nil || c.Mean != -.5 || math.Abs(c.SD-2) > 1e-12 || c.Min != -2.5 || c.Max != 1.5 {
		t.Errorf("x: %+v", c)
	}
}

func TestLookDecimals(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"x;y\n1;2\n":               "",
		"x;y\n1,500;2\n":           ",",
		"x;y\n1,5;2.5\n":           ",", // y has the other mark
		"x,y\n\"1,5\",2\n":         ",",
		"x,y\n1.5,2\n":             "",
		"x,y\n\"1,500\",2\n":       "!may have a decimal comma or thousands",
		"x\ty\n1,500\t2\n":         "!may have a decimal comma or thousands",
		"x\ty\n1,500\t2,25\n":      ",",
		"x,y,z\n\"1,5\",2.5,3.5\n": ".",
	} {
		s, err := Look(FS(fstest.MapFS{"t.csv": {Data: []byte(content)}}), "t.csv", Format{})
		if said, wrong := strings.CutPrefix(want, "!"); wrong {
			if err == nil || !strings.Contains(err.Error(), said) {
				t.Errorf("%q: %v, want %s", content, err, said)
			}
		} else if err != nil || s.Format.Decimal != want {
			t.Errorf("%q: %v, %v, want %q", content, s, err, want)
		}
	}
	s, err := Look(FS(fstest.MapFS{"t.csv": {Data: []byte("x;y\n1,5;2.5\n2,5;3\n")}}), "t.csv", Format{})
	if err != nil || s.Columns[0].OtherMark != 0 || s.Columns[1].OtherMark != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

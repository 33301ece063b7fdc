package main

import (
	"fmt"
	"strings"
	"testing"
)

// What init decides beyond what is plain, or finds odd, it says.
func TestInitCSVNotes(t *testing.T) {
	t.Parallel()
	results := func(usual, rare string) string {
		return tableOf(100, "x,y", func(i int) string {
			return fmt.Sprintf("%d,%s", i*7%31, map[bool]string{true: rare, false: usual}[i%50 == 7])
		})
	}
	words := func(step int) string {
		return tableOf(100, "x,y", func(i int) string {
			return fmt.Sprintf("%s,%d", map[bool]string{true: "Sensorfehler", false: fmt.Sprint(i * step % 31)}[i%50 == 7], i%2)
		})
	}
	target := func(odd string, n int) string {
		return tableOf(200, "x,y", func(i int) string {
			if i%40 == 9 && i/40 < n {
				return fmt.Sprintf("%d,%s", i%7, odd)
			}
			return fmt.Sprintf("%d,%d.5", i%7, 100+i%40)
		})
	}
	for _, c := range []struct {
		name  string
		files []string
		want  string // "": no note
	}{
		{"classes alike", []string{results("ok", "bad"), results("ok", "bad")}, "a and b have the same rows: each counts twice"},
		{"exchanged classes", []string{results("ok", "bad"), results("bad", "ok")}, `bad of y has 2 % of the rows at a, 98 % at b: are bad and ok exchanged at one of them? If so: columns: {y: {values: {"bad": "ok", "ok": "bad"}}} there`},
		{"a word for none", []string{words(7), words(5)}, `"Sensorfehler" of x counts as a missing value, in 4 rows at a, b: if it is none, take it out of missing`},
		{"a plain target", []string{target("", 0)}, ""},
		{"one number for none", []string{target("-999", 1)}, "y is from -999 to 139.5, and without 1 of its 200 values from 100.5 to 139.5, at a: a slip of the hand"},
		{"some of them", []string{target("-999", 4)}, "y is -999 in 4 of 200 rows, and from 100.5 to 139.5 in all others, at a: a slip of the hand"},
		{"a monster", []string{target("1e99", 1)}, "y is from 100.5 to 1e+99, and without 1 of its 200 values from 100.5 to 139.5, at a: a slip of the hand"},
	} {
		p, _, err := laidOut(t, csvFlags{CSV: []string{"a.csv", "b.csv"}[:len(c.files)], Target: "y"}, c.files...)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if notes := strings.Join(p.notes, "\n"); !strings.HasPrefix(notes, c.want) || strings.Contains(notes, "\n") || c.want == "" && notes != "" {
			t.Errorf("%s: %s", c.name, notes)
		}
	}
	commas := tableOf(60, "x;y", func(i int) string { return fmt.Sprintf("%d;%d,5", i*7%31, i%40) })
	const want = `--target y has "0,5" at `
	if _, _, err := laidOut(t, csvFlags{CSV: []string{"a.csv"}, Target: "y", Decimal: "."}, commas); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("decimal commas with --decimal .: %v", err)
	}
}

package main

import (
	"fmt"
	"strings"
	"testing"
)

// What differs between the tables of sites, and within one, and may not be meant so.
func TestInitCSVSites(t *testing.T) {
	t.Parallel()
	plain := func(site string) string {
		return tableOf(60, "machine_no,tool,flow,temp,y", func(i int) string {
			results := []string{"ok", "OK", "fault", "", "ok"}
			if site == "b" {
				return fmt.Sprintf("%d,lathe %d,%d,%v,%s", 200+i%3, i%2, 10+i*7%11, 68+1.8*float64(i%9), results[i%4])
			}
			return fmt.Sprintf("%d,mill %d,%d,%d,%s", 100+i%3, i%2, 10+i*5%11, 20+i%9, results[i%5])
		})
	}
	p, data, err := laidOut(t, csvFlags{CSV: []string{"a.csv", "b.csv"}, Target: "y"}, plain("a"), plain("b"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "machine_no (no two sites share a number of it: it tells the sites apart), tool (no two sites share a text of it: it tells the sites apart)"; p.leftOut() != want {
		t.Errorf("left out %s, want %s", p.leftOut(), want)
	}
	if got := fmt.Sprint(p.classes, p.counts, p.empty); got != "[fault ok] map[fault:27 ok:66] 27" {
		t.Errorf("classes %s", got)
	}
	notes := strings.Join(p.notes, "\n")
	for _, want := range []string{`"OK" of y counts as "ok": if they are not one, take it out of columns`, ": as degF beside degC. If their units differ: columns: {temp: {unit: degF, to: degC}} at b, {temp: {unit: degC}} at a, each below tabular: in the site's file"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in\n%s", want, notes)
		}
	}
	if text := p.site(p.sites[0]); !strings.Contains(text, "columns: # texts that count as one\n          \"y\": {values: {OK: ok}}\n") {
		t.Errorf("no values in\n%s", text)
	}
	if a := data["a"]; a.Train.N+a.Test.N != 48 || len(a.Notes) != 1 || !strings.Contains(a.Notes[0], "target: 12 rows have no y") {
		t.Errorf("%d rows, %q", a.Train.N+a.Test.N, a.Notes)
	}

	p, _, err = laidOut(t, csvFlags{CSV: []string{"a.csv", "b.csv"}, Target: "y"}, plain("a"), plain("a"))
	if err != nil || !strings.Contains(strings.Join(p.notes, "\n"), "a and b have the same rows: each counts twice") {
		t.Errorf("%v, notes %q", err, p.notes)
	}
	if _, _, err = laidOut(t, csvFlags{CSV: []string{"a.csv", "x/../a.csv"}, Target: "y"}, plain("a"), plain("a")); err == nil || !strings.Contains(err.Error(), "each of its rows would count twice") {
		t.Error(err)
	}
}

// The target of whole numbers is what the person says, and one with texts among its
// numbers has rows without one.
func TestInitCSVTarget(t *testing.T) {
	t.Parallel()
	quality := tableOf(60, "x,y", func(i int) string { return fmt.Sprintf("%d,%d", i*7%11, 3+i%6) })
	p, _, err := laidOut(t, csvFlags{CSV: []string{"a.csv"}, Target: "y"}, quality)
	if err != nil || len(p.classes) != 6 || !strings.Contains(strings.Join(p.notes, "\n"), "the 6 whole numbers of y count as classes, and 3 is as far from 4 as from 8; to predict a number: --regression") {
		t.Errorf("%v, %+v", err, p)
	}
	if p, _, err = laidOut(t, csvFlags{CSV: []string{"a.csv"}, Target: "y", Regression: true}, quality); err != nil || p.classes != nil || p.scale != 1.7 {
		t.Errorf("%v, %+v", err, p)
	}
	if _, _, err = laidOut(t, csvFlags{CSV: []string{"a.csv"}, Target: "y", Regression: true}, "x,y\n1,ok\n2,bad\n"); err == nil || !strings.Contains(err.Error(), `--regression: --target y is no column of numbers: it has "ok" at `) {
		t.Error(err)
	}
	odd := tableOf(600, "x,y", func(i int) string {
		return fmt.Sprintf("%d,%s", i*7%11, map[bool]string{false: fmt.Sprintf("%d.5", i%97)}[i%60 == 7])
	}) + "1,not measured\n2,-999\n3,1e308\n4,90000\n"
	f := csvFlags{CSV: []string{"a.csv"}, Target: "y", Missing: []string{"-999"}}
	p, data, err := laidOut(t, f, odd)
	if err != nil {
		t.Fatal(err)
	}
	if text := p.site(p.sites[0]); !strings.Contains(text, `missing: [-999, "1e308", not measured] # stand for a missing value`) || p.empty != 13 || data["a"].Train.N+data["a"].Test.N != 591 {
		t.Errorf("%d without, %d rows\n%s", p.empty, data["a"].Train.N+data["a"].Test.N, text)
	}
	if notes := strings.Join(p.notes, "\n"); !strings.Contains(notes, "y is from 0.5 to 9e+04, and without 1 of its 591 values from 0.5 to 96.5, at a: a slip of the hand") {
		t.Errorf("notes %s", notes)
	}
}

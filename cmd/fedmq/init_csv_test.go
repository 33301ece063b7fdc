package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"

	"github.com/fedmq/fedmq/trainer/tabular"
)

// laidOut plans a federation on files, writes its configurations into a folder beside
// them, and loads each site as its configuration says.
func laidOut(t *testing.T, f csvFlags, contents ...string) (*csvPlan, map[string]*tabular.Data, error) {
	t.Helper()
	dir := t.TempDir()
	for i, content := range contents {
		name := filepath.Join(dir, f.CSV[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f.CSV[i] = name
	}
	lab := filepath.Join(dir, "lab")
	sites, err := f.look(lab)
	if err != nil {
		return nil, nil, err
	}
	p, err := decide(sites, f.Target, f.Regression)
	if err != nil {
		return nil, nil, err
	}
	files := map[string]string{aggregatorName: p.aggregator()}
	for _, s := range p.sites {
		files[s.name+".yaml"] = p.site(s)
	}
	if err := fresh(lab, files); err != nil {
		t.Fatal(err)
	}
	if err := fresh(lab, files); err == nil || !strings.Contains(err.Error(), "want a folder without configurations") {
		t.Errorf("a second time: %v", err)
	}
	cfg, err := loadAggregator(filepath.Join(lab, aggregatorName))
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	data := map[string]*tabular.Data{}
	for _, s := range p.sites {
		var f siteFile
		if err := loadYAML(filepath.Join(lab, s.name+".yaml"), &f); err != nil {
			t.Fatal(err)
		}
		d, err := tabular.Load(tabular.Dir(lab), *f.Tasks[0].Trainer.Tabular)
		if err != nil {
			t.Fatalf("%v\n%s", err, files[s.name+".yaml"])
		}
		if len(d.Features) != p.inputs() {
			t.Errorf("%s: %d features %q, the model has %d inputs", s.name, len(d.Features), d.Features, p.inputs())
		}
		data[s.name] = d
	}
	return p, data, nil
}

// table repeats rows made by row, with a header.
func tableOf(n int, header string, row func(i int) string) string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for i := range n {
		b.WriteString(row(i) + "\n")
	}
	return b.String()
}

func TestInitCSV(t *testing.T) {
	t.Parallel()
	tools := []string{"Bohrer", "Fräser", "Säge", "no"}
	german := tableOf(60, "Zeit;Nr;Öl °C;Druck;Werkzeug;Werk;an;leer;Notiz;Notiz;;Ergebnis", func(i int) string {
		press := fmt.Sprintf("%d,%d", i%7, i%10)
		if i%20 == 0 {
			press = "k.A."
		}
		return fmt.Sprintf("0%d.01.2026 10:00;%d;%d,5;%s;%s;Berlin;%v;;a;b;;%s", i%9+1, 1000+i, i%13, press, tools[i%3], i%2 == 0, []string{"ok", "0", "n. i. O."}[i%3])
	})
	latin, err := charmap.Windows1252.NewEncoder().String(german)
	if err != nil {
		t.Fatal(err)
	}
	english := tableOf(40, "Nr,Zeit,Öl °C,Druck,Werkzeug,Werk,an,leer,extra,Ergebnis", func(i int) string {
		result := []string{"ok", "0", ""}[i%3]
		return fmt.Sprintf("%d,2026-01-01 10:00,%d.25,%d,%s,Lyon,TRUE,,%d,%s", i, i%11, i%5, tools[i%4], i, result)
	})
	p, data, err := laidOut(t, csvFlags{CSV: []string{"Berlin 1.csv", "lyon.csv"}, Target: " Ergebnis"}, latin, english)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"Öl °C", "Druck", "an"}; !slices.Equal(p.numbers, want) {
		t.Errorf("numbers %q, want %q", p.numbers, want)
	}
	if want := "[{Werkzeug [Bohrer Fräser Säge no]}]"; fmt.Sprint(p.texts) != want {
		t.Errorf("texts %v, want %s", p.texts, want)
	}
	if want := []string{"0", "n. i. O.", "ok"}; !slices.Equal(p.classes, want) || p.empty != 13 {
		t.Errorf("classes %q, want %q; %d rows without", p.classes, want, p.empty)
	}
	want := "Zeit (a time stamp), Nr (it counts up from row to row: an id, or a time), " +
		"Werk (the same in every row of a site: it tells the sites apart), leer (it is empty), " +
		"Notiz (it stands twice in Berlin 1.csv, as columns 9 and 10: give one of them another name in the file), extra (only lyon has it, not Berlin-1)"
	if placeOf.ReplaceAllString(p.leftOut(), "$1 ") != want {
		t.Errorf("left out %s, want %s", p.leftOut(), want)
	}
	text := p.site(p.sites[0])
	for _, line := range []string{
		"train: ../Berlin 1.csv", "separator: ;", `decimal: ","`, "encoding: windows-1252", "missing: [k.A.] # stand for a missing value", "split: {share: 0.2}",
		"target: {column: Ergebnis, classes: [0, n. i. O., ok]}",
		"- columns: [Öl °C, Druck, an]", `- {columns: [Werkzeug], categories: [Bohrer, Fräser, Säge, "no"]}`, "#   Zeit: a time stamp", "member: Berlin-1",
	} {
		if !strings.Contains(strings.ReplaceAll(text, `"../Berlin 1.csv"`, "../Berlin 1.csv"), line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	if strings.Contains(p.site(p.sites[1]), "separator") {
		t.Errorf("a plain file has a separator in\n%s", p.site(p.sites[1]))
	}
	for name, want := range map[string]int{"Berlin-1": 60, "lyon": 27} {
		if d := data[name]; d.Train.N+d.Test.N != want || d.Test.N == 0 {
			t.Errorf("%s: %d and %d rows, want %d", name, d.Train.N, d.Test.N, want)
		}
	}
}

// What a column of numbers is decided to be, as the target and as a feature.
func TestInitCSVDecides(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		header        string
		row           func(i int) string
		target        string
		numbers, left string
		classes       string // of the target; a number: about its mean and deviation
	}{
		{"a number", "x,y", func(i int) string { return fmt.Sprintf("%d,%d.5", i%7, 100+i%40) }, "y", "x", "", "117 +- 11"},
		{"many whole numbers", "x,y", func(i int) string { return fmt.Sprintf("%d,%d", i%7, i%40) }, "y", "x", "", "16 +- 11"},
		{"few whole numbers", "x,y", func(i int) string { return fmt.Sprintf("%d,%d", i%7, 9+i%3) }, "y", "x", "", "[9 10 11]"},
		{"booleans", "x,y", func(i int) string { return fmt.Sprintf("%d,%v", i%7, i%3 == 0) }, "y", "x", "", "[false true]"},
		{"an id", "serial_no,x,y", func(i int) string { return fmt.Sprintf("%d,%d,%d", i*7919%1000, i%5, i%2) }, "y", "x", "serial_no (another number in every row: an id)", "[0 1]"},
		{"whole numbers that are none", "pressure,x,y", func(i int) string { return fmt.Sprintf("%d,%d,%d", i*7919%1000, i%5, i%2) }, "y", "pressure,x", "", "[0 1]"},
		{"a counter", "n,x,y", func(i int) string { return fmt.Sprintf("%d,%d,%d", i*i, i%5, i%2) }, "y", "x", "n (it counts up from row to row: an id, or a time)", "[0 1]"},
		{"a text id", "part,x,y", func(i int) string { return fmt.Sprintf("P%d,%d,%d", i, i%5, i%2) }, "y", "x", "part (another text in every row: an id)", "[0 1]"},
		{"too many texts", "note,x,y", func(i int) string { return fmt.Sprintf("n%d,%d,%d", i%30, i%5, i%2) }, "y", "x", "note (30 texts: too many for categories)", "[0 1]"},
		{"numbers with a unit", "p,x,y", func(i int) string { return fmt.Sprintf("5.%d bar,%d,%d", i%30, i%5, i%2) }, "y", "x", `p (numbers with a unit behind them, such as "5.0 bar" at a.csv:2:1: want the number alone)`, "[0 1]"},
		{"each with a unit", "p,x,y", func(i int) string { return fmt.Sprintf("%d.5m³/h,%d,%d", i, i%5, i%2) }, "y", "x", `p (numbers with a unit behind them, such as "0.5m³/h" at a.csv:2:1: want the number alone)`, "[0 1]"},
		{"ids with letters", "part,x,y", func(i int) string { return fmt.Sprintf("%dA%d,%d,%d", i, i*i, i%5, i%2) }, "y", "x", "part (another text in every row: an id)", "[0 1]"},
		{"the same", "k,x,y", func(i int) string { return fmt.Sprintf("7,%d,%d", i*7%31, i%2) }, "y", "x", "k (the same in every row)", "[0 1]"},
		{"the same text", "k,x,y", func(i int) string { return fmt.Sprintf("A,%d,%d", i*7%31, i%2) }, "y", "x", "k (the same in every row)", "[0 1]"},
		{"mixed", "m,x,y", func(i int) string { return fmt.Sprintf("%s,%d,%d", []string{"1", "A"}[i%2], i%5, i%2) }, "y", "x", `m (numbers and texts, such as "A" at a.csv:3:1)`, "[0 1]"},
		{"a historian's states", "m,x,y", func(i int) string {
			return fmt.Sprintf("%s,%d,%d", []string{"1.5", "2.5", "3", "4", "5", "Bad Input"}[i%6], i%5, i%2)
		}, "y", "m,x", "", "[0 1]"},
		{"a split", "split,x,y", func(i int) string { return fmt.Sprintf("%s,%d,%d", []string{"train", "test"}[i%2], i%5, i%4/2) }, "y", "x", "split (it says which rows are for testing)", "[0 1]"},
		{"a clock", "at,x,y", func(i int) string { return fmt.Sprintf("10:%02d,%d,%d", i%60, i%5, i%2) }, "y", "x", "at (a time stamp)", "[0 1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, data, err := laidOut(t, csvFlags{CSV: []string{"a.csv"}, Target: c.target}, tableOf(60, c.header, c.row))
			if err != nil {
				t.Fatal(err)
			}
			target := fmt.Sprint(p.classes)
			if p.classes == nil {
				target = fmt.Sprintf("%v +- %v", p.offset, p.scale)
			}
			left := placeOf.ReplaceAllString(p.leftOut(), "$1 ")
			if strings.Join(p.numbers, ",") != c.numbers || left != c.left || target != c.classes {
				t.Errorf("numbers %q, want %s; left out %q, want %q; target %s, want %s", p.numbers, c.numbers, left, c.left, target, c.classes)
			}
			if data["a"].Test.N == 0 {
				t.Error("no test rows")
			}
		})
	}
}

// A rare one of two classes gets a threshold of its own, and is told.
func TestInitCSVRareClass(t *testing.T) {
	t.Parallel()
	for every, want := range map[int]bool{5: false, 15: true} {
		p, _, err := laidOut(t, csvFlags{CSV: []string{"a.csv"}, Target: "y"}, tableOf(90, "x,y", func(i int) string {
			return fmt.Sprintf("%d,%s", i*7%31, map[bool]string{true: "fault", false: "ok"}[i%every == 0])
		}))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(p.aggregator(), "threshold: f1 # of the probability of fault, which is rare"); got != want {
			t.Errorf("every %d: threshold %v in\n%s", every, got, p.aggregator())
		}
	}
}

// placeOf is the folder of a place.
var placeOf = regexp.MustCompile(`(at|in) /[^ ]*/`)

func TestInitCSVRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ content, target, want string }{
		{"x,y\n1,2\n2,3\n", "z", "--target z: no such column; the columns are x, y"},
		{"x,y\n1,2\n2,2\n", "y", `--target y is the same in every row`},
		{"x,y\n1,1.5\n2,1.5\n", "y", `--target y is the same in every row`},
		{"x,y\n", "y", "has no rows"},
		{"", "y", "empty, want a header line"},
		{"y\n1\n2\n", "y", "no column is left as a feature"},
		{"x,y,y\n1,1,5\n2,3,4\n", "y", "as columns 2 and 3: give one of them another name in the file"},
		{tableOf(200, "x,y", func(i int) string { return fmt.Sprintf("%d,t%d", i, i) }), "y", `--target y has more than 80 texts, such as "t0" at `},
		{"x,y\n\"1,500\",2\n\"2,500\",3\n", "y", `want --decimal "," for the first`},
	} {
		if _, _, err := laidOut(t, csvFlags{CSV: []string{"a.csv"}, Target: c.target}, c.content); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.30q: %v, want %s", c.content, err, c.want)
		}
	}
	p, _, err := laidOut(t, csvFlags{CSV: []string{"a.csv"}, Target: "y", Decimal: ","}, "x,y\n\"1,500\",2\n\"2,500\",3\n")
	if err != nil || !strings.Contains(p.site(p.sites[0]), `decimal: ","`) {
		t.Errorf("with --decimal: %v", err)
	}
}

func TestInitCSVNames(t *testing.T) {
	t.Parallel()
	for _, c := range [][2][]string{
		{{"berlin.csv", "x/lyon.csv.gz"}, {"berlin", "lyon"}},
		{{"berlin/data.csv", "lyon/data.csv"}, {"berlin", "lyon"}},
		{{"x/data.csv", "x/data.CSV"}, {"data", "data-2"}},
		{{"aggregator.csv", "broker.tsv", "#+.csv", "Halle 7 (neu).csv", "köln_*.csv"}, {"aggregator-site", "broker-site", "site", "Halle-7-neu", "köln"}},
	} {
		if got := siteNames(c[0]); !slices.Equal(got, c[1]) {
			t.Errorf("%q: %q, want %q", c[0], got, c[1])
		}
	}
	for target, want := range map[string]string{"Ergebnis": "ergebnis", "Qualität (%)": "qualitaet", "État": "etat", "状態": "task", "state": "the-state", "a__b": "a-b"} {
		if got := taskName(target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	for s, want := range map[string]string{"ok": "ok", "no": `"no"`, "1": "1", "1.5": `"1.5"`, "a: b": `"a: b"`, "n. i. O.": "n. i. O.", "": `""`, "010": `"010"`, "a,b": `"a,b"`, "°C": `"°C"`, "~": `"~"`, "NaN": `"NaN"`, "<5 & >3": `"<5 & >3"`} {
		if got := scalar(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

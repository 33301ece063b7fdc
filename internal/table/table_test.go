package table

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

// read returns the numbers of the columns x and y, "-" for a missing one, row by row.
func read(content string, f Format) (rows string, t *Table, err error) {
	t, err = Open(FS(fstest.MapFS{"t.csv": {Data: []byte(content)}}), "t.csv", f)
	if err != nil {
		return "", nil, err
	}
	defer t.Close()
	x, err := t.Column("features", "x")
	if err != nil {
		return "", t, err
	}
	y, err := t.Column("target", "y")
	if err != nil {
		return "", t, err
	}
	var out []string
	for {
		if ok, err := t.Next(); !ok || err != nil {
			return strings.Join(out, " "), t, err
		}
		for _, i := range []int{x, y} {
			v, err := t.Number(i)
			if err != nil {
				return strings.Join(out, " "), t, err
			}
			out = append(out, strings.ReplaceAll(fmt.Sprint(v), "NaN", "-"))
		}
	}
}

// check compares rows, or the error where want begins with "!".
func check(t *testing.T, content string, f Format, want string) *Table {
	t.Helper()
	got, table, err := read(content, f)
	if said, wrong := strings.CutPrefix(want, "!"); wrong {
		if err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("%.60q: %q, %v, want the error %s", content, got, err, said)
		}
	} else if err != nil || got != want {
		t.Errorf("%.60q: %q, %v, want %q", content, got, err, want)
	}
	return table
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func TestSeparators(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		content, separator, want, about string
	}{
		{"x,y\n1,2\n", "", "1 2", ""},
		{"x;y\n1;2\n", "", "1 2", "semicolons"},
		{"x\ty\n1\t2\n", "", "1 2", "tabs"},
		{"x\tz\ty\n1\t\t2\n", "", "1 2", "tabs"}, // an empty cell between tabs
		{"x|y\n1|2\n", "", "1 2", `"|"`},
		{"x:y\n1:2\n", ":", "1 2", `":"`},
		{"x\ty\n1\t2\n", "tab", "1 2", "tabs"},
		{"x\ty\n1\t2\n", `\t`, "1 2", "tabs"},
		{"x,y\n1,2\n", ";", `!cut at semicolons (separator)`, ""},
		{"x;y\n1,5;2,5\n", "", "1.5 2.5", "semicolons, decimal commas"},
		{"x;Temp, °C;y\n1,5;3;2,5\n", "", "1.5 2.5", "semicolons, decimal commas"},
		{"x;a, b;c, d;y\n1;2;3;4\n5;6;7;8\n", "", "1 4 5 8", "semicolons"}, // as many commas, but not in the rows
		{"x,y,note\n1,2,a; b\n3,4,c; d\n", "", "1 2 3 4", ""},
		{"x,y,\"p;q;r\"\n1,2,3\n", "", "1 2", ""},
		{"x,y\n\"1\",\"2\"\n", "", "1 2", ""},
		{"sep=;\r\nx;y\r\n1;2\r\n", "", "1 2", "semicolons"},
		{"\"sep=|\"\nx|y\n1|2\n", "", "1 2", `"|"`},
		{"sep=,\nx;y\n1;2\n", ";", "1 2", "semicolons"}, // the configuration has the last word
		{"SEP=\t\nx\ty\n1\t2\n", "", "1 2", "tabs"},
		{"x;y;\n1;2;\n3;4;\n", "", "1 2 3 4", "semicolons"},
		{"x;y\n1;2;\n3;4;\n", "", "1 2 3 4", "semicolons"},
		{"x;y\n", "", "", "semicolons"},
		{"x\n1\n", "", `!no column "y" (target); the header has ["x"], cut at commas (separator)`, ""},
	} {
		table := check(t, c.content, Format{Separator: c.separator}, c.want)
		if table != nil && c.about != "" && table.About() != c.about {
			t.Errorf("%q: about %q, want %q", c.content, table.About(), c.about)
		}
	}
}

func TestDecimals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		content, decimal, want string
	}{
		{"x;y\n1,5;-2,25e1\n,5;5,\n", "", "1.5 -22.5 0.5 5"},
		{"x\ty\n1,5\t2\n", "", "1.5 2"},
		{"x\ty\n1,500\t2\n", "", `!t.csv:2:1: "1,500" may have a decimal comma, or thousands`},
		{"x\ty\n1,500\t2\n", ",", "1.5 2"},
		{"x\ty\n2\t1,5\n1,500\t2\n", "", "2 1.5 1.5 2"}, // 1,5 has told
		{"x;y\n1,500;2\n", "", "1.5 2"},
		{"x,y\n\"1,5\",2\n", "", `!want decimal: ","`},
		{"x,y\n\"1,5\",2\n", ",", "1.5 2"},
		{"x,y\n1,5,2\n", "", `!3 cells, where the header has 2, separated by commas`},
		{"x;y\n1,5;2.5\n", "", `!t.csv:2:5: "2.5" has another decimal mark than "1,5" at t.csv:2:1: which is it? (decimal: "." or ",")`},
		{"x;y\n1.5;2\n3;2,5\n", "", `!t.csv:3:3: "2,5" has another decimal mark than "1.5" at t.csv:2:1`},
		{"x;y\n1;2.5\n", ",", `!"2.5" has not the decimal mark that is given`},
		{"x;y\n1;2,5\n", ".", `!"2,5" has not the decimal mark that is given`},
		{"x;y\n1.234,5;2\n", "", `!"1.234,5" is no number as they are read: want no gaps, and no marks between thousands`},
		{"x,y\n\"1,234.5\",2\n", "", `!no marks between thousands`},
		{"x,y\n\"1,234,567\",2\n", ",", `!no marks between thousands`},
		{"x,y\n1 234,2\n", "", `!no gaps`},
		{"x,y\n1_000,2\n", "", `!no gaps`},
		{"x,y\n1'000,2\n", "", `!no gaps`},
		{"x,y\n−5,2\n", "", "-5 2"},
		{"x;y\n−5,5;2\n", "", "-5.5 2"},
		{"x,y\n+5,2.\n", "", "5 2"},
		{"x,y\n1e-400,2\n", "", "0 2"},
		{"x,y\n1e400,2\n", "", `!"1e400" is not a finite number; if it stands for a missing value: missing: ["1e400"]`},
		{"x,y\ninf,2\n", "", `!"inf" is not a finite number`},
		{"x,y\n-Infinity,2\n", "", `!not a finite number`},
		{"x,y\n1.#INF,2\n", "", `!not a finite number`},
		{"x,y\n0x1p3,2\n", "", `!"0x1p3" is a number with something behind it`},
		{"x,y\n50%,2\n", "", `!"50%" is a number with something behind it`},
		{"x,y\n5 °C,2\n", "", `!"5 °C" is a number with something behind it`},
		{"x,y\nTRUE,false\n", "", "1 0"},
		{"x,y\n2024-01-01T00:00:00,2\n", "", `!"2024-01-01T00:00:00" is a time and no number: derive.order takes one`},
		{"x,y\nclosed,2\n", "", `!t.csv:2:1: "closed" is no number; if it stands for a missing value: missing: ["closed"]; if the column has texts: categories`},
	} {
		check(t, c.content, Format{Decimal: c.decimal}, c.want)
	}
	check(t, "x,y\nclosed,2\n", Format{Numbers: true}, `!missing: ["closed"]; if the column has texts, it cannot be counted: a task of statistics counts numbers, leave the column out of it`)
}

func TestMissing(t *testing.T) {
	t.Parallel()
	for _, word := range []string{
		"", "NaN", "nan", "-nan", "+NaN", "NA", "null", "NULL", "N/A", "#N/A", "None", "\\N", "-", "?", "#DIV/0!", "#NV", "Bad Input", "No Data", "I/O Timeout",
		"-nan(ind)", "1.#QNAN", "-1.#IND", "<NA>", " \u00a0", "n/a",
	} {
		table := check(t, "x,y\n1,2\n\""+word+"\",3\n", Format{}, "1 2 - 3")
		state := strings.Contains(word, "Bad") || strings.Contains(word, "No Data") || strings.Contains(word, "I/O") // may be a text's value
		if table.Missing(strings.TrimSpace(word)) == state {
			t.Errorf("%q as a text: missing %v", word, !state)
		}
	}
	check(t, "x,y\n-999,2\nclosed,3\n", Format{Missing: []string{"-999", "closed"}}, "- 2 - 3")
	check(t, "x,y\n-999.0,2\nN/A,3\n", Format{Missing: []string{"-999"}}, "-999 2 - 3") // letter by letter
	check(t, "x,y\nClosed,3\n", Format{Missing: []string{"closed"}}, "!is no number")
}

func TestEncodings(t *testing.T) {
	t.Parallel()
	const plain = "Öl °C,x,y\nä,1,2\nü,3,4\n"
	encode := func(s string, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	latin := encode(charmap.Windows1252.NewEncoder().String(plain))
	little := encode(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(plain))
	big := encode(unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String(plain))
	kanji := encode(japanese.ShiftJIS.NewEncoder().String("温度,x,y\n1,1,2\n"))
	late := "x,y,note\n" + strings.Repeat("1,2,plain\n", 30_000) // the first umlaut is far behind what is looked at
	for _, c := range []struct {
		content, encoding, name, about string
	}{
		{plain, "", "Öl °C", ""},
		{"\xef\xbb\xbf" + plain, "", "Öl °C", ""},
		{latin, "", "Öl °C", "windows-1252"},
		{latin, "iso-8859-1", "Öl °C", "iso-8859-1"},
		{little, "", "Öl °C", "utf-16le"},
		{big, "", "Öl °C", "utf-16be"},
		{little, "utf-8", "Öl °C", "utf-16le"}, // the mark has the last word
		{gzipped(little), "", "Öl °C", "utf-16le"},
		{encode(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String("o,x,y\n0,1,2\n")), "", "o", "utf-16le"},
		{encode(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().String("o,x,y\n0,1,2\n")), "", "o", "utf-16be"},
		{encode(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String(plain)), "utf-16", "Öl °C", "utf-16"},
		{kanji, "shift_jis", "温度", "shift_jis"},
		{late + "1,2,\xfcber\n", "", "note", "windows-1252"},
		{late + "1,2,über\n", "", "note", ""},
		{"O\u0308l,x,y\n1,1,2\n", "", "Öl", ""}, // as macOS writes it
	} {
		_, table, err := read(c.content, Format{Encoding: c.encoding})
		if err != nil {
			t.Errorf("%.30q: %v", c.content, err)
			continue
		}
		if _, err := table.Column("features", c.name); err != nil || table.About() != c.about {
			t.Errorf("%.30q: %v, about %q, want %q", c.content, err, table.About(), c.about)
		}
	}
	check(t, latin, Format{Encoding: "utf-8"}, `!t.csv: encoding: invalid UTF-8`)
	check(t, plain, Format{Encoding: "latin-9000"}, `!encoding: "latin-9000" is not known`)
}

func TestLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, content, want string
		notes               int
	}{
		{"CR LF", "x,y\r\n1,2\r\n", "1 2", 0},
		{"CR alone", "x,y\r1,2\r3,4\r", "1 2 3 4", 0},
		{"CR CR LF", "x,y\r\r\n1,2\r\r\n", "1 2", 0},
		{"no end", "x,y\n1,2", "1 2", 0},
		{"last line half", "x,y\n1,2\n3", "1 2", 1},
		{"last line half, in a quote", "x,y\n1,2\n\"3", "1 2", 1},
		{"last line half, behind a comment", "x,y\n1,2\n\n\n3", "1 2", 1},
		{"a line half, not the last", "x,y\n1\n3,4\n", "!t.csv:2: 1 cells, where the header has 2", 0},
		{"last line short, but whole", "x,y\n1,2\n3\n", "!t.csv:3: 1 cells", 0},
		{"comments before the header", "# historian\n#\n\n# of, today\nx,y,z\n1,2,3\n", "1 2", 0},
		{"a header that begins with #", "#t,x,y\n0,1,2\n", "1 2", 0},
		{"a comment further down", "x,y\n1,2\n# end\n", `!if it is a comment: comment: "#"`, 0},
		{"empty lines", "\n\nx,y\n\n1,2\n\n", "1 2", 0},
		{"a line break in a cell", "x,note,y\n1,\"a\nb\",2\n3,c,4\n", "1 2 3 4", 0},
		{"an inch sign", "x,note,y\n1,valve 5\" open,2\n3,c,4\n", "1 2 3 4", 0},
		{"a quote that begins a cell only", "x,note,y\n1,\"5\" valve,2\n3,c,4\n", "1 2 3 4", 0},
		{"both kinds of quotes", "x,note,q,y\n1,\"a,b\",5\" open,2\n", "1 2", 0},
		{"stray quotes in two lines", "x,note,y\n1,\"5\" valve,2\n3,\"6\" valve,4\n", "1 2 3 4", 0},
		{"a quote left open", "x,note,y\n1,\"open,2\n3,c,4\n", "!a quote that is open", 0},
		{"empty names", "x,y,,\n1,2,,\n", "1 2", 0},
		{"empty names, and rows without", "x,y,,\n1,2\n", "1 2", 0},
		{"values below empty names", "x,y,,\n1,2,a,b\n", "1 2", 0},
		{"a separator more", "x,y\n1,2,\n", "1 2", 0},
		{"a value more", "x,y\n1,2,3\n", "!3 cells, where the header has 2", 0},
		{"a name twice, not used", "x,s,y,s\n1,OK,2,BAD\n", "1 2", 0},
		{"a name twice", "x,y,x\n1,2,3\n", `!column "x" (features) is there twice, as columns 1 and 3`, 0},
		{"another case", "X,y\n1,2\n", `!no column "x" (features); did you mean "X"?`, 0},
		{"space around names", " x ,\u00a0y\n1,2\n", "1 2", 0},
		{"a row without end", "x,y\n\"" + strings.Repeat("1\n", 1<<20), "!a row is longer than 1048576 bytes: a quote may be open", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			table := check(t, c.content, Format{}, c.want)
			if table == nil {
				return
			}
			if n := len(table.Notes()); n != c.notes || n > 0 && !strings.Contains(table.Notes()[0], "is not whole and was left out") {
				t.Errorf("notes %q, want %d", table.Notes(), c.notes)
			}
		})
	}
	check(t, "% a\nx,y\n1,2\n% b\n3,4\n", Format{Comment: "%"}, "1 2 3 4")
}

// Places are those of the file, whatever was passed over before the header.
func TestPlaces(t *testing.T) {
	t.Parallel()
	check(t, "sep=;\n# a\n\nx;y\n1;2\n\n3;bad!\n", Format{}, `!t.csv:7:3: "bad!"`)
	check(t, "x,note,y\n1,5\" a,2\n3,6\" b,bad!\n", Format{}, `!t.csv:3: "bad!"`)
}

func TestFormatValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f   Format
		key string
	}{
		{Format{Separator: ";;"}, "separator"},
		{Format{Separator: `"`}, "separator"},
		{Format{Separator: "1"}, "separator"},
		{Format{Decimal: ";"}, "decimal"},
		{Format{Separator: ".", Decimal: "."}, "decimal"},
		{Format{Comment: "//"}, "comment"},
		{Format{Comment: ";", Separator: ";"}, "comment"},
		{Format{Encoding: "ebcdic?"}, "encoding"},
	} {
		if err := c.f.Validate(); err == nil || !strings.HasPrefix(err.Error(), c.key+": ") {
			t.Errorf("%+v: %v", c.f, err)
		}
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	at := func() string { return "t.csv:2:1" }
	for cell, want := range map[string]float64{
		"12.5": 12.5, "1970-01-01T00:01:00Z": 60, "1970-01-01 00:01:00": 60, "1970-01-01T00:01:00.5": 60.5, "1970-01-01T00:01:00,25Z": 60.25,
		"1970-01-01T01:01:00+01:00": 60, "1970-01-01 01:01:00+0100": 60, "1970-01-02": 86400, "1970-01-01 00:01": 60, "19700101T000100Z": 60,
	} {
		c := newCells(Format{})
		if got, err := c.order(cell, at); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", cell, got, err, want)
		}
	}
	c := newCells(Format{})
	if v, err := c.order("", at); err != nil || !math.IsNaN(v) {
		t.Errorf("empty: %v, %v", v, err)
	}
	if _, err := c.order("31.01.2026 12:00", at); err == nil || !strings.Contains(err.Error(), "neither a number nor an ISO time") {
		t.Errorf("a German date: %v", err)
	}
	if _, err := c.order("2026-01-01", at); err != nil {
		t.Error(err)
	}
	if _, err := c.order("7", at); err == nil || !strings.Contains(err.Error(), "times and numbers") {
		t.Errorf("a number among times: %v", err)
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	files := FS(fstest.MapFS{"b.csv": {}, "a.csv": {}, "x[1].csv": {}, "sub/c.csv": {}})
	for pattern, want := range map[string]string{
		"a.csv": "[a.csv]", "*.csv": "[a.csv b.csv x[1].csv]", "?.csv": "[a.csv b.csv]", "x[1].csv": "[x[1].csv]", "./sub/*": "[sub/c.csv]", "none.csv": "[none.csv]",
	} {
		if got, err := Expand(files, pattern); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v, want %s", pattern, got, err, want)
		}
	}
	for _, pattern := range []string{"none-*.csv", "[.csv"} {
		if got, err := Expand(files, pattern); err == nil {
			t.Errorf("%s: %v", pattern, got)
		}
	}
}

// Nothing that a file has in it stops the program, or makes it hold more than a row.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"x,y\n1,2\n", "sep=;\nx;y\n1,5;2\n", "#a\n\nx\ty\n\"1\t2\n", "\xff\xfex\x00,\x00", "x,\"a\"b\"\n1,\"\n\n", "x\ry\r1\r", "\x1f\x8b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, table, err := read(s, Format{})
		if err == nil && len(table.Names()) == 0 {
			t.Error("a table without columns")
		}
	})
}

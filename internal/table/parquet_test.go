package table

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/parquet-go/parquet-go"
)

// parquetRow has a column of every kind that is read.
type parquetRow struct {
	X     float64   `parquet:"x"`
	Y     *int64    `parquet:"y,optional"`
	F     float32   `parquet:"f"`
	OK    bool      `parquet:"ok"`
	Tool  string    `parquet:"tool,dict"`
	At    time.Time `parquet:"at,timestamp(microsecond)"`
	Day   int32     `parquet:"day,date"`
	Price int64     `parquet:"price,decimal(2:10)"`
	U     uint32    `parquet:"u"`
	In    struct {
		Z int32 `parquet:"z"`
	} `parquet:"in"`
	List []float64 `parquet:"list,list"`
}

func parquetFile(t *testing.T, rows ...parquetRow) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[parquetRow](&b, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(2))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A Parquet file has the cells of the CSV file that says the same.
func TestParquet(t *testing.T) {
	t.Parallel()
	seven := int64(-7)
	at := time.Date(2026, 1, 31, 13, 5, 0, 250_000_000, time.UTC)
	rows := []parquetRow{
		{X: 1.5, Y: &seven, F: .5, OK: true, Tool: "Fräser", At: at, Day: 20484, Price: -1205, U: math.MaxUint32, List: []float64{1, 2}},
		{X: math.NaN(), Tool: "Säge", At: at.Add(time.Second), Day: 20485, Price: 5},
		{X: 3, Y: &seven, At: at, Day: -1},
	}
	rows[0].In.Z = 9
	content := parquetFile(t, rows...)
	files := FS(fstest.MapFS{"t.parquet": {Data: content}})
	table, err := Open(files, "t.parquet", Format{Separator: ";", Decimal: ","}) // for CSV files beside it
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	var got []string
	for {
		ok, err := table.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		var cells []string
		for i, name := range table.Names() {
			if !strings.HasPrefix(name, "list") {
				cells = append(cells, table.Text(i))
			}
		}
		got = append(got, strings.Join(cells, " "))
	}
	want := []string{
		"1.5 -7 0.5 true Fräser 2026-01-31T13:05:00.25Z 2026-01-31 -12.05 4294967295 9",
		"NaN  0 false Säge 2026-01-31T13:05:01.25Z 2026-02-01 0.05 0 0",
		"3 -7 0 false  2026-01-31T13:05:00.25Z 1969-12-31 0.00 0 0",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if table.About() != "Parquet" {
		t.Errorf("about %q", table.About())
	}
	if _, err := table.Column("features", "list.list.element"); err == nil || !strings.Contains(err.Error(), "is a list, and has several values in a row") {
		t.Errorf("a list: %v", err)
	}
	if _, err := table.Column("features", "Tool"); err == nil || !strings.Contains(err.Error(), `did you mean "tool"?`) {
		t.Errorf("another case: %v", err)
	}
}

func TestParquetNumbers(t *testing.T) {
	t.Parallel()
	seven := int64(7)
	content := string(parquetFile(t, parquetRow{X: 1.5, Y: &seven}, parquetRow{X: math.NaN()}, parquetRow{X: 2.25, Y: &seven}))
	check(t, content, Format{}, "1.5 7 - - 2.25 7")
	check(t, string(parquetFile(t, parquetRow{X: math.Inf(1)})), Format{}, `!t.csv: row 1, column "x": "+Inf" is not a finite number`)
	s, err := Look(FS(fstest.MapFS{"t.parquet": {Data: []byte(content)}}), "*.parquet", Format{})
	if err != nil || s.Rows != 3 || s.Column("x").Numbers != 2 || s.Column("at").Times != 3 || fmt.Sprint(s.Format) != fmt.Sprint(Format{}) {
		t.Errorf("%+v, %v", s, err)
	}
}

// A file that is cut, or has been changed, is an error and no panic.
func TestParquetBroken(t *testing.T) {
	t.Parallel()
	seven := int64(7)
	whole := parquetFile(t, parquetRow{X: 1, Y: &seven, Tool: "a"}, parquetRow{X: 2, Y: &seven, Tool: "b"})
	for n := 0; n < len(whole); n += 7 {
		if _, _, err := read(string(whole[:n]), Format{}); err == nil {
			t.Fatalf("%d bytes of %d are read", n, len(whole))
		}
		b := bytes.Clone(whole)
		b[n] ^= 0x55
		_, _, _ = read(string(b), Format{})
	}
}

// What Arrow has written, with times of several units, a dictionary, decimals and an
// index (testdata/arrow.py makes it).
func TestParquetOfArrow(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("testdata/arrow.parquet")
	if err != nil {
		t.Fatal(err)
	}
	table, err := Open(FS(fstest.MapFS{"t.parquet": {Data: content}}), "t.parquet", Format{})
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if ok, err := table.Next(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	var cells []string
	for i, name := range table.Names() {
		cells = append(cells, name+"="+table.Text(i))
	}
	const want = "x=1.5 half=0.25 n=-3 big=18446744073709551615 ok=true tool=Fräser ns=2026-01-31T13:05:00.00000025 ms=2026-01-31T13:05:00.25Z day=2026-01-31 clock=13:05:00 price=-12.05 none="
	if got := strings.Join(cells, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

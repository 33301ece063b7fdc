package tabular_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/trainer/tabular"
)

// What lies behind the name of a CSV file is said by what it is.
func TestNoCSV(t *testing.T) {
	t.Parallel()
	csv := "x,y\n1,2\n" + strings.Repeat("3,4\n", 200)
	zipped := zip(t, csv)
	for _, c := range []struct{ content, want string }{
		{csv, ""},
		{zipped, ""},
		{"PK,y\n1,2\n", `no column "x"`},
		{"PK\x03\x04\x14\x00data.csv", "t.csv is a zip archive; unpack it"},
		{"PK\x03\x04\x14\x00[Content_Types].xml", "an Excel workbook (.xlsx); save it as CSV UTF-8"},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)"},
		{"PAR1\x15\x04", "t.csv: "},
		{"\x28\xb5\x2f\xfd\x04", "compressed with zstd; gzip is read as it is"},
		{zip(t, zipped), "gzip in gzip"},
		{zip(t, "PAR1\x15\x04"), "a Parquet file in gzip; unpack it"},
		{"\xff\xfex\x00,\x00y\x00", ""},
		{"x\x00,\x00y\x00\n\x00", ""}, // UTF-16 without a mark
		{"x,y\n1,\x002\n", "no text: it has NUL bytes"},
		{"\xff\xfe\x00\x00x\x00\x00\x00", "UTF-32 text"},
		{strings.Repeat("\x00", 3000), "no text: it has NUL bytes"},
		{"<!DOCTYPE html>", "an HTML page"},
		{"x,y" + strings.Repeat(" ", 254) + "ustar\x00", "a tar archive"},
		{zipped[:len(zipped)-9], "the gzip data end too early, as of a copy under way"},
		{zipped[:5], "the gzip data end too early"},
		{zipped + strings.Repeat("\x00", 4096), "after the gzip data something else follows"},
		{"", "empty, want a header line"},
	} {
		_, err := tabular.Load(files("t.csv", c.content), tabular.Config{
			Train: "t.csv", Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"x"}}},
		})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: %v, want %q", c.content, err, c.want)
		}
	}
}

func TestNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d.csv"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := tabular.Dir(dir).Open("d.csv"); err == nil || !strings.Contains(err.Error(), "d.csv: a directory: want a regular file") {
		t.Errorf("directory: %v", err)
	}
	if _, err := os.Stat("/dev/null"); err == nil {
		if _, err := tabular.Dir(dir).Open("/dev/null"); err == nil || !strings.Contains(err.Error(), "a device") {
			t.Errorf("device: %v", err)
		}
	}
}

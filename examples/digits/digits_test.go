package digits_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/examples/digits"
	"github.com/fedmq/fedmq/python"
)

// Every trainer's folder has what its configurations name, and no variable is
// left without a value.
func TestFolder(t *testing.T) {
	t.Parallel()
	own := map[string]string{"pytorch": "train.py", "sklearn": "train.py", "shell": "train.pl", "go": "main.go"}
	if !slices.Equal(digits.Names(), slices.Sorted(maps.Keys(own))) {
		t.Errorf("trainers %v", digits.Names())
	}
	for _, name := range digits.Names() {
		folder, err := digits.Folder(name, python.Files)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"aggregator.yaml", "north.yaml", "south.yaml", "README.md", "data/README.md", own[name]}
		if strings.HasSuffix(own[name], ".py") {
			want = append(want, "fedmq_trainer/__init__.py", "fedmq_trainer/py.typed")
		}
		for _, path := range want {
			b, ok := folder[path]
			if !ok || bytes.Contains(b, []byte("${")) || bytes.Contains(b, []byte("%!")) {
				t.Errorf("%s: %s: there %v: %.200s", name, path, ok, b)
			}
		}
		if !bytes.Contains(folder["north.yaml"], []byte("data/north.csv")) || !bytes.Contains(folder["README.md"], []byte(own[name])) {
			t.Errorf("%s: north.yaml %s", name, folder["north.yaml"])
		}
		for site, rows := range map[string]int{"north": 902, "south": 895} {
			if n := bytes.Count(folder["data/"+site+".csv"], []byte("\n")) - 1; n != rows {
				t.Errorf("%s: %d rows of %s", name, n, site)
			}
		}
	}
	if _, err := digits.Folder("cobol", python.Files); err == nil {
		t.Error("a trainer in COBOL")
	}
}

// What docs/howto/pytorch.md says about the length of the script.
func TestLength(t *testing.T) {
	t.Parallel()
	folder, err := digits.Folder("pytorch", python.Files)
	if err != nil {
		t.Fatal(err)
	}
	lines, ours := 0, 0
	for line := range strings.Lines(string(folder["train.py"])) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, `"""`) {
			continue
		}
		lines++
		if strings.Contains(line, "fedmq") || strings.Contains(line, "job") {
			ours++
		}
	}
	if lines != 22 || ours != 7 {
		t.Errorf("train.py has %d lines, %d of them fedmq's; docs/howto/pytorch.md says 22 and 7", lines, ours)
	}
}

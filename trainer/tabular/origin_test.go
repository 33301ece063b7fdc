package tabular_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/trainer/tabular"
)

// replace puts a CSV file with n rows in the place of another, as an export
// does.
func replace(t *testing.T, path string, n int) (content string) {
	t.Helper()
	content = "x,y\n" + strings.Repeat("1,2\n", n)
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
	return content
}

// A file that was replaced is read again when a task begins, or begins anew;
// with reload: round before every round; never for an attempt that is repeated.
func TestReload(t *testing.T) {
	t.Parallel()
	for _, reload := range []string{"", "task", "round"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "x.csv")
		replace(t, path, 3)
		var read []int
		tr, err := tabular.Open(tabular.Dir(dir), tabular.Config{
			Train: "x.csv", Test: "x.csv", Reload: reload, Target: tabular.Target{Column: "y"}, Features: []tabular.Feature{{Columns: []string{"x"}}},
		}, func(d *tabular.Data) { read = append(read, d.Train.N) })
		if err != nil {
			t.Fatal(err)
		}
		content := ""
		for i, step := range []struct {
			rows         int // of the new file
			round        uint64
			attempt      uint32
			task, round2 int // rows that are trained on: reload: task, round
		}{
			{4, 1, 1, 4, 4}, // the task begins after the file was replaced
			{5, 1, 2, 4, 4}, // an attempt that is repeated
			{6, 2, 1, 4, 6}, // a round later
			{7, 20, 1, 4, 7},
			{8, 1, 1, 8, 8}, // the task begins anew
		} {
			content = replace(t, path, step.rows)
			if err := tr.Refresh(t.Context(), trainer.Job{Round: step.round, Attempt: step.attempt}); err != nil {
				t.Fatal(err)
			}
			want := step.task
			if reload == "round" {
				want = step.round2
			}
			if got := tr.Samples(); got != want {
				t.Errorf("reload %q, step %d: %d rows, want %d", reload, i, got, want)
			}
		}
		s, hash := tr.Source(), sha256.Sum256([]byte(content))
		if s.Rows != 8 || s.SHA256 != hex.EncodeToString(hash[:]) || time.Since(s.Read) > time.Hour {
			t.Errorf("reload %q: %+v", reload, s)
		}
		// What cannot be read is an error, until it can be again.
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := tr.Refresh(t.Context(), trainer.Job{Round: 0}); err == nil || !strings.Contains(err.Error(), "x.csv") {
				t.Errorf("reload %q: the file is gone: %v", reload, err)
			}
		}
		replace(t, path, 9)
		if err := tr.Refresh(t.Context(), trainer.Job{Round: 1}); err != nil || tr.Samples() != 9 {
			t.Errorf("reload %q: %v, %d rows", reload, err, tr.Samples())
		}
		// The same content in another file is no news.
		before := len(read)
		replace(t, path, 9)
		if err := tr.Refresh(t.Context(), trainer.Job{Round: 0}); err != nil || len(read) != before {
			t.Errorf("reload %q: %v, read %v", reload, err, read)
		}
	}
}

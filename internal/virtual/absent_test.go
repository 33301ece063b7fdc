package virtual

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A task that is out of the configuration for a while keeps its models: those
// that only it names, and the one that another task began with too and has left
// behind.
func TestAbsentTask(t *testing.T) {
	for name, same := range map[string]bool{"own model": false, "the other's model": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) { checkAbsent(w, same) })
		})
	}
}

func checkAbsent(w *world, same bool) {
	one, two := w.task(), w.task()
	one.KeepModels = 1
	two.Name, two.Members = "other", []string{"+/line-9"}
	if !same {
		two.Init = weights(w.t, 3, 4)
	}
	both := func() {
		w.aggregate(one, two)
		time.Sleep(10 * time.Second)
		w.end(aggregatorName)
	}
	both()
	old := time.Now().Add(-2 * time.Hour)
	check(w.t, filepath.WalkDir(filepath.Join(w.dir, aggregatorName, "blobs"), func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chtimes(p, old, old)
		}
		return err
	}))
	w.aggregate(one)
	for _, m := range three {
		w.join(m, walker{})
	}
	w.finished(5 * time.Minute)
	w.endAll()
	both()
}

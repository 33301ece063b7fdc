package virtual

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// Sites that learn nothing leave the model as it is, to the bit: negative
// zeros, denormals and the largest numbers.
func TestNoOp(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Init = weights(t, float32(math.Copysign(0, -1)), math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, math.MaxFloat32, 0, 1.5)
		task.KeepUpdates = aggregator.KeepRound
		w.aggregate(task)
		for i, m := range three {
			w.join(m, walker{still: true, rows: 7 * (i + 1)})
		}
		w.finished(5 * time.Minute)
		w.endAll()
		for _, r := range w.history() {
			if r.Model != task.Init.ContentID() {
				t.Errorf("round %d has another model", r.Round)
			}
		}
	})
}

// A model of zeros has the bytes of an update that changes nothing: the update
// goes with its round, the model stays.
func TestNoOpFromZero(t *testing.T) {
	for _, keep := range []aggregator.Keep{aggregator.KeepRound, aggregator.KeepAll} {
		t.Run(string(keep), func(t *testing.T) {
			if keep != aggregator.KeepRound {
				racing.Skip(t, "the same goroutines, with more on the disk")
			}
			inBubble(t, func(w *world) {
				s, err := model.NewSchema(model.Spec{Name: "w", DType: model.F32, Shape: []int{3}})
				check(t, err)
				task := w.task()
				task.Init, task.KeepUpdates, task.KeepModels = model.New(s), keep, 1
				w.aggregate(task)
				for _, m := range three {
					w.join(m, walker{still: true})
				}
				w.recorded(2, record.Committed, time.Minute)
				w.end(aggregatorName)
				w.aggregate(task)
				w.finished(5 * time.Minute)
			})
		})
	}
}

// The same updates in another order, and with a restart between any two of
// them, give one model.
func TestArrivalOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		var want model.Hash
		orders := [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}}
		if racing.On { // what comes first does the same as what comes last
			orders = orders[2:3]
		}
		for _, order := range orders {
			for restart := range 5 {
				got := arrive(w, order, restart)
				if want.IsZero() {
					want = got
				}
				if got != want {
					t.Errorf("order %v, restart before %d: another model", order, restart)
				}
			}
		}
	})
}

// arrive plays four members whose updates come in the order given, with a
// restart of the aggregator before the n-th, and returns the model.
func arrive(parent *world, order []int, restart int) model.Hash {
	w := newWorld(parent.t)
	task := w.task()
	task.Rounds, task.StartWhen, task.Quorum = 1, 4, 4
	w.aggregate(task)
	c := w.client("members", own("order"), own("round"))
	c.awaitView("the start", time.Minute, func(view) bool { return true })
	members := []string{"a/line-1", "b/line-1", "c/line-1", "d/line-1"}
	for _, m := range members {
		c.signUp(m, 1000, nil)
	}
	c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" })
	h, _ := c.order()
	send := func(i int) {
		x := float32(i) - 1.3
		u := wire.Update{Samples: uint64(100 + 77*i), Tensors: w.delta(x*x*x/7, 1e-7*x)}
		c.say(memberTopic(members[i], "update"), w.seal(members[i], wire.KindUpdate, header(h), u, nil), false)
	}
	for n, i := range order {
		if n == restart {
			w.end(aggregatorName)
			time.Sleep(time.Second)
			w.aggregate(task)
			c.awaitView("the next attempt", time.Minute, func(v view) bool { return v.Epoch == 2 && v.Phase == "open" })
			for _, again := range order[:n] {
				send(again)
			}
		}
		send(i)
		send(i) // duplicates are normal
		synctest.Wait()
	}
	r := w.recorded(1, record.Committed, time.Minute)
	if counted(r) != 4 {
		w.t.Errorf("%d counted", counted(r))
	}
	w.endAll()
	return r.Model
}

// What stays on disk is what the settings say, and no more.
func TestKeep(t *testing.T) {
	for _, keep := range []aggregator.Keep{aggregator.KeepNone, aggregator.KeepRound, aggregator.KeepAll} {
		t.Run(string(keep), func(t *testing.T) {
			if keep != aggregator.KeepRound {
				racing.Skip(t, "the same goroutines, with more or less on the disk")
			}
			inBubble(t, func(w *world) {
				task := w.task()
				task.Rounds, task.KeepUpdates, task.KeepModels = 5, keep, 2
				w.aggregate(task)
				for i, m := range three {
					w.join(m, walker{takes: time.Duration(1+5*(i/2)) * time.Second})
				}
				w.recorded(3, record.Committed, time.Minute)
				c := w.client("watch", own("round"))
				c.awaitView("two updates of round 4", time.Minute, func(v view) bool { return v.Round == 4 && v.Accepted == 2 })
				w.end(three[0]) // what was kept of it in the open round goes with the round all the same
				w.end(aggregatorName)
				w.aggregate(task)
				w.finished(5 * time.Minute)
				w.endAll()
				checkBlobs(w, keep)
			})
		})
	}
}

// best is the version of the task that did best, as the aggregator that has ended
// noted it.
func (w *world) best() uint64 {
	w.t.Helper()
	a, err := store.OpenArchive(filepath.Join(w.dir, aggregatorName))
	check(w.t, err)
	raw, err := a.State(taskName)
	check(w.t, err)
	check(w.t, a.Close())
	var st round.State
	check(w.t, json.Unmarshal(raw, &st))
	if st.Best == nil {
		w.t.Fatal("no version is the best one")
	}
	return st.Best.Version
}

func checkBlobs(w *world, keep aggregator.Keep) {
	w.t.Helper()
	var want []string
	recs, best := w.history(), w.best()
	last := recs[len(recs)-1]
	for _, r := range recs {
		for _, e := range r.Entries {
			if keep == aggregator.KeepAll && r.Work == "train" && !e.Content.IsZero() {
				want = append(want, e.Content.String())
			}
		}
		// The current model, and the state with it, is that of rounds 5 and 6, before it come those of
		// the two rounds that were its bases, and the best one stays beside them.
		if r.Round+2 >= last.Round || r.Round == best || keep == aggregator.KeepAll && r.Round == 0 {
			want = append(want, r.Model.String())
			if !r.State.IsZero() {
				want = append(want, r.State.String())
			}
		}
	}
	var got []string
	check(w.t, filepath.WalkDir(filepath.Join(w.dir, aggregatorName, "blobs"), func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			got = append(got, d.Name())
		}
		return err
	}))
	slices.Sort(got)
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(got, want) {
		w.t.Errorf("blobs %d %q, want %d %q", len(got), got, len(want), want)
	}
}

// What a crash left behind, named by nothing, goes after an hour; what a
// record names stays.
func TestSweep(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.KeepUpdates = aggregator.KeepAll
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{})
		}
		w.finished(5 * time.Minute)
		w.end(aggregatorName)
		dir := filepath.Join(w.dir, aggregatorName)
		st, err := store.Open(dir, store.Options{})
		check(t, err)
		orphan := []byte("left behind")
		check(t, st.PutBlob(model.ContentOf(orphan), orphan, true))
		check(t, st.Close())
		names := func() (n int) {
			check(t, filepath.WalkDir(filepath.Join(dir, "blobs"), func(p string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					n++
					old := time.Now().Add(-2 * time.Hour)
					err = os.Chtimes(p, old, old)
				}
				return err
			}))
			return n
		}
		before := names()
		w.aggregate(task)
		time.Sleep(10 * time.Second)
		if after := names(); after != before-1 {
			t.Errorf("%d blobs before the start, %d after, want one less", before, after)
		}
	})
}

package site

import (
	"slices"
	"testing"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/wire"
)

// residual is a trainer that keeps what compression leaves out: what it adds to a
// round's update is what the updates that do not count have lost.
type residual struct {
	*fake
	told []string // in the order of calls
	left map[uint64]float32
	owed float32
}

func (r *residual) Settled(round uint64, counted bool) {
	if !counted {
		r.owed += r.left[round]
		r.told = append(r.told, "lost")
		return
	}
	r.told = append(r.told, "counted")
}

// A trainer with state hears the fate of each of its updates before its next job,
// once, and its number of rows may change between rounds.
func TestTrainerKeepsState(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		tr := &residual{fake: &fake{}, left: map[uint64]float32{1: 1, 2: 2, 3: 4}}
		cfg := h.config(tr.fake)
		cfg.Tasks[0].Trainer = tr
		h.life(cfg)
		h.welcome()
		base := weights(t, 1, 2)
		h.model(0, base)
		work := func(round uint64, rows int) wire.Update {
			t.Helper()
			tr.rows = rows
			h.forget()
			h.order(round, 1, wire.WorkTrain, base)
			_, c, _ := h.update()
			return c.(wire.Update)
		}
		u := work(1, 10)
		if u.Samples != 10 || len(tr.told) != 0 {
			t.Fatalf("%d rows, told %v", u.Samples, tr.told)
		}
		h.commit(1, base, base, u.Content())
		u = work(2, 7)
		if u.Samples != 7 || !slices.Equal(tr.told, []string{"counted"}) {
			t.Fatalf("%d rows, told %v", u.Samples, tr.told)
		}
		h.reply(wire.RefusalReply{Round: 2, Attempt: 1, Content: u.Content(), Reason: "norm_outlier"})
		u = work(3, 12)
		if u.Samples != 12 || !slices.Equal(tr.told, []string{"counted", "lost"}) || tr.owed != 2 {
			t.Fatalf("%d rows, told %v, owed %g", u.Samples, tr.told, tr.owed)
		}
		h.reply(wire.Settled{Round: 3, Content: u.Content(), Verdict: "missing"})
		work(4, 12)
		if !slices.Equal(tr.told, []string{"counted", "lost", "lost"}) || tr.owed != 6 {
			t.Fatalf("told %v, owed %g", tr.told, tr.owed)
		}
	})
}

package site

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// wary is a trainer that finds a model odd.
type wary struct {
	*fake
	says string
}

func (w *wary) Caution(*model.Model) string { return w.says }

// What the trainer says of the model is logged before it trains, and not again while it
// says the same; the status has it as long as it says so. That the aggregator takes no
// update is logged once for a reason, and again when one has counted since.
func TestWarningsOfATraining(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		h := newHub(t)
		var lines bytes.Buffer
		tr := &wary{&fake{block: make(chan struct{}, 9)}, "flow is large"}
		cfg := h.config(tr.fake)
		cfg.Tasks[0].Trainer, cfg.Log = tr, zerolog.New(&lines)
		stop := h.life(cfg)
		h.welcome()
		base := weights(t, 1, 2)
		h.model(0, base)
		h.order(1, 1, wire.WorkTrain, base)
		synctest.Wait()
		if n := strings.Count(lines.String(), "flow is large"); n != 1 {
			t.Errorf("while it trains: said %d times", n)
		}
		for round, c := range []struct {
			reply   string // reason; "": it counts
			says    string
			refused int // lines so far
		}{{"norm_outlier", "flow is large", 1}, {"norm_outlier", "flow is large", 1}, {"out_of_range", "", 2}, {"stale_round", "", 2}, {"", "", 2}, {"out_of_range", "", 3}} {
			n := uint64(round) + 1
			h.forget()
			tr.says = c.says
			h.order(n, 1, wire.WorkTrain, base)
			tr.block <- struct{}{}
			_, u, _ := h.update()
			if w := h.lastStatus().Warning; strings.Contains(w, "flow is large") != (c.says != "") {
				t.Errorf("round %d: the status warns of %q", n, w)
			}
			content := u.(wire.Update).Content()
			if c.reply == "" {
				h.commit(n, base, base, content)
			} else {
				h.reply(wire.RefusalReply{Round: n, Attempt: 1, Content: content, Reason: c.reply, Detail: "w is 99"})
			}
			synctest.Wait()
			if got := strings.Count(lines.String(), "has refused this site's update"); got != c.refused {
				t.Errorf("round %d: refused %d times in the log, want %d", n, got, c.refused)
			}
		}
		if n := strings.Count(lines.String(), "flow is large"); n != 1 {
			t.Errorf("said %d times", n)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

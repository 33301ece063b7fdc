package virtual

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// peak is a walker whose model of one version is the best of all.
type peak struct {
	walker
	best uint64
}

func (p peak) Evaluate(_ context.Context, job trainer.Job, _ *model.Model) (trainer.Evaluation, error) {
	n, off := float64(p.Samples()), float64(job.Round-1)-float64(p.best)
	return trainer.Evaluation{Metrics: trainer.Metrics{trainer.SumN: n, trainer.SumLoss: n * off * off}}, nil
}

// released is the version that the broker has as the released one, with the epoch of its
// message; no model where parts are missing or are of another.
func (w *world) released() (h model.Hash, version, epoch uint64) {
	w.t.Helper()
	c := w.client("lines", own("released"), own("released/+/+"))
	time.Sleep(time.Second)
	got := map[string][]byte{}
	for _, m := range c.messages() {
		got[m.Topic] = m.Payload
	}
	w.end("lines")
	if len(got[own("released")]) == 0 {
		return h, 0, 0
	}
	o := wire.Opener{NS: w.ns, Limits: wire.Limits{Part: wire.MaxPart}}
	head, body, err := o.Open(own("released"), got[own("released")], wire.Bound{})
	check(w.t, err)
	d, err := wire.DecodeModel(body, wire.Limits{})
	check(w.t, err)
	check(w.t, d.Matches(head))
	if head.Kind != wire.KindReleased {
		w.t.Errorf("a message of the kind %s", head.Kind)
	}
	mf, ok := d.(wire.Manifest)
	if !ok {
		return d.(wire.Model).Tensors.ContentID(), head.Round, head.Epoch
	}
	var all []byte
	for i := range mf.Blob.Count() {
		p, err := wire.DecodePart(got[own(fmt.Sprintf("released/%d/%d", mf.Slot, i))], wire.MaxPart)
		if err != nil || p.Blob != mf.Blob.Key() || !mf.Blob.Holds(i, p.Data) {
			return h, head.Round, head.Epoch
		}
		all = append(all, p.Data...)
	}
	return model.ContentOf(all), head.Round, head.Epoch
}

// At its end, and not before, a task releases its best version, which is not its last: in
// one message or in parts, over a start of the aggregator and a broker that forgets all.
func TestReleasedAtTheEnd(t *testing.T) {
	for name, size := range map[string]int{"inline": 4 << 20, "in parts": wire.MinPart} {
		t.Run(name, func(t *testing.T) {
			if name == "inline" {
				racing.Skip(t, "in parts has the goroutines, and more")
			}
			inBubble(t, func(w *world) {
				w.parts(size)
				task := w.large()
				task.Rounds, task.KeepModels = 5, 1
				w.aggregate(task)
				for i, m := range three {
					w.join(m, peak{walker{rows: 10 * (i + 1), takes: 10 * time.Second}, 2})
				}
				w.recorded(4, "committed", time.Minute)
				if _, version, _ := w.released(); version != 0 {
					t.Errorf("version %d is released before the end", version)
				}
				w.finished(5 * time.Minute)
				want := w.model(2)
				is := func(when string, epoch uint64) {
					t.Helper()
					if h, version, at := w.released(); h != want || version != 2 || at != epoch {
						t.Errorf("%s: version %d of epoch %d is released, whole: %v; want version 2 of epoch %d", when, version, at, h == want, epoch)
					}
				}
				is("at the end", 1)
				w.end(aggregatorName)
				w.aggregate(task)
				time.Sleep(30 * time.Second)
				is("after a start", 2)
				w.stopBroker() // which keeps nothing
				w.startBroker()
				time.Sleep(2 * time.Minute)
				is("after a broker that has forgotten it", 2)
				w.client("vandal").say(own("released"), []byte("another"), true)
				time.Sleep(time.Minute)
				is("after other bytes", 2)
				w.endAll()
			})
		})
	}
}

// model is the content id of the model of a round.
func (w *world) model(round uint64) model.Hash {
	w.t.Helper()
	for _, r := range w.all() {
		if r.Round == round && r.Verdict == "committed" {
			return r.Model
		}
	}
	w.t.Fatalf("round %d has no model", round)
	return model.Hash{}
}

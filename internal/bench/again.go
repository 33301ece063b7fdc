package bench

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
)

// madeAgain checks the rounds of a strategy whose model is no mean that integers could sum:
// each is made again from its record, as verify does, with the updates from the seed in
// place of files, which nobody kept.
type madeAgain struct {
	r      *federation
	series series
	made   map[model.Hash]update // of the round in hand, by content id
}

// update is what a site sent for a round.
type update struct {
	base  *model.Model
	delta []float32
}

// verifyAgain returns how many rounds of training it has made again; one that comes to
// another model is an error.
func (r *federation) verifyAgain(ctx context.Context) (rounds int, err error) {
	a := &madeAgain{r: r, series: newSeries(r.Seed, r.Sites).frozen(r.Params, r.Changed)}
	about, err := os.ReadFile(a.file("records", taskName+".json"))
	if err != nil {
		return 0, err
	}
	list, err := os.ReadDir(a.file("records", taskName))
	if err != nil {
		return 0, err
	}
	p := replay.New(replay.Config{Blobs: a.blob, At: a.at, Description: about})
	for i, f := range list {
		if ctx.Err() != nil {
			return 0, context.Canceled
		}
		fmt.Fprintf(r.Talk, "\rmade again: record %d of %d\x1b[K", i+1, len(list))
		raw, err := os.ReadFile(a.file("records", taskName, f.Name()))
		if err != nil {
			return 0, err
		}
		rec, err := a.expect(raw)
		if err != nil {
			return 0, err
		}
		o, err := p.Next(rec.Round, rec.Attempt, raw)
		if err != nil {
			return 0, fmt.Errorf("made again from the updates of the seed: %w", err)
		}
		if rec.Trained() && o.How == replay.Replayed {
			rounds++
		}
	}
	fmt.Fprint(r.Talk, "\r\x1b[K")
	if want := r.last(); rounds != want {
		return 0, fmt.Errorf("%d of %d rounds could be made again", rounds, want)
	}
	return rounds, nil
}

func (a *madeAgain) file(names ...string) string {
	return filepath.Join(append([]string{a.r.dir, "aggregator"}, names...)...)
}

// expect notes the updates that a record names.
func (a *madeAgain) expect(raw []byte) (record.Record, error) {
	rec, err := record.Decode(raw)
	a.made = map[model.Hash]update{}
	if err != nil || !rec.Trained() {
		return rec, err
	}
	schema, err := zeros(a.r.Params)
	if err != nil {
		return rec, err
	}
	blob, err := a.stored(rec.Base)
	if err != nil {
		return rec, err
	}
	base := &model.Model{Schema: schema.Schema, Blob: blob}
	for _, e := range rec.Entries {
		var site int // from 1
		if _, err := fmt.Sscanf(e.Member, siteName, &site); err != nil {
			return rec, fmt.Errorf("member %q: %w", e.Member, err)
		}
		a.made[e.Content] = update{base, a.series.delta(site-1, rec.Round, a.series.from)}
	}
	return rec, nil
}

// stored reads a blob of the aggregator.
func (a *madeAgain) stored(id model.Hash) ([]byte, error) {
	return os.ReadFile(a.file("blobs", id.String()[:2], id.String()))
}

// blob is what the aggregator keeps, or an update, whole.
func (a *madeAgain) blob(id model.Hash) ([]byte, error) {
	if _, ok := a.made[id]; !ok {
		return a.stored(id)
	}
	b := make([]byte, 4*a.r.Params)
	return b, a.at(id, b, 0)
}

// at is a piece of an update, from an offset on.
func (a *madeAgain) at(id model.Hash, p []byte, off int64) error {
	u, ok := a.made[id]
	if !ok {
		return fmt.Errorf("%w: %s is no update of the round", fs.ErrNotExist, id)
	}
	a.series.update(p, u.base.Blob[off:], u.delta, int(off)/4) // below a model's size
	return nil
}

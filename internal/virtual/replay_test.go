package virtual

import (
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/record/replay"
)

// replay checks the aggregator's directory as fedmq verify does: whatever has
// happened, the records hold, and what was kept gives the models again.
func (w *world) replay(dir string, raws [][]byte) {
	w.t.Helper()
	about, err := os.ReadFile(filepath.Join(dir, "records", taskName+".json"))
	check(w.t, err)
	p := replay.New(replay.Config{Description: about, Strategies: w.strategies, Blobs: func(id model.Hash) ([]byte, error) {
		h := hex.EncodeToString(id[:])
		return os.ReadFile(filepath.Join(dir, "blobs", h[:2], h))
	}})
	for _, raw := range raws {
		r, err := record.Decode(raw)
		check(w.t, err)
		if _, err := p.Next(r.Round, r.Attempt, raw); err != nil {
			w.t.Errorf("replay: %v", err)
			return
		}
	}
	if err := p.Finish(); err != nil {
		w.t.Errorf("replay: %v", err)
	}
}

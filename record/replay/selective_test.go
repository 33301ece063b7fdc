package replay_test

import (
	"io/fs"
	"testing"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record/replay"
)

// Rounds of strategies that look at all updates at once are made again, whether updates
// are read piece by piece or as a whole, and what such a strategy keeps with them. Where
// updates were not kept, the models are proven by their hashes.
func TestSelective(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"median", "centered_clip"} {
		history := func() *disk {
			d := &disk{t: t, blobs: map[model.Hash][]byte{}, members: 3, strategy: name}
			d.begin()
			return d
		}
		d := history()
		all := []replay.How{hashed, replayed, chained, replayed, replayed, replayed}
		d.runs(name, all)
		cfg, pieces := d.config(), 0
		cfg.At = func(id model.Hash, p []byte, off int64) error {
			pieces++
			b, ok := d.blobs[id]
			if !ok {
				return fs.ErrNotExist
			}
			copy(p, b[off:])
			return nil
		}
		if hows, err := d.run(cfg); err != nil || pieces == 0 || len(hows) != len(all) || hows[4] != replayed {
			t.Errorf("%s: %v, %v, read in %d pieces", name, hows, err, pieces)
		}
		d = history()
		d.drop(2, 3, 4)
		d.runs(name+" without updates", []replay.How{hashed, replayed, chained, hashed, hashed, replayed})
	}
}

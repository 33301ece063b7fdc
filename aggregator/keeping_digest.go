package aggregator

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
)

// digest is what follows from all records of a task, written in the transaction
// of each, so that no start reads them all: where they end, the curve, and in
// bucket Held the versions of the model and the updates that are on disk for
// good. What an older fedmq has added is caught up with at the next start.
type digest struct {
	store *store.Store
	task  string
	curve curve
	end   place // of the last record in it
	count int   // of the records in it
}

// place is where a record stands; known tells from none.
type place struct {
	Known   bool   `json:"known"`
	Round   uint64 `json:"round"`
	Attempt uint32 `json:"attempt"`
}

// before reports whether a record comes after the place.
func (p place) before(rnd uint64, attempt uint32) bool {
	return !p.Known || rnd > p.Round || rnd == p.Round && attempt > p.Attempt
}

// digested is what is on disk of a digest whenever a record is written; the rest
// of the curve changes less often.
type digested struct {
	End   place  `json:"end"`
	Count int    `json:"count"`
	Last  *point `json:"last"`
}

func (d *digest) endKey() string   { return store.Key(d.task, "digest") }
func (d *digest) curveKey() string { return store.Key(d.task, "curve") }

// Keys of bucket Held: a version's holds its content id, an update's nothing.
func (d *digest) versionPrefix() string { return store.Key(d.task, "version\x00") }

func (d *digest) versionKey(number uint64) string {
	return d.versionPrefix() + string(binary.BigEndian.AppendUint64(nil, number))
}

func updateKey(task string, content model.Hash) string {
	return store.Key(task, "update\x00"+string(content[:]))
}

// add notes a record within its transaction.
func (d *digest) add(tx *store.Tx, r record.Record) error {
	d.end, d.count = place{true, r.Round, r.Attempt}, d.count+1
	if r.Verdict == record.Committed && r.Round > 0 && d.curve.add(pointOf(r)) {
		if err := put(tx, d.curveKey(), d.curve.drawn); err != nil {
			return err
		}
	}
	if r.Verdict != record.Abandoned {
		ids := r.Model[:]
		if !r.State.IsZero() {
			ids = append(ids, r.State[:]...)
		}
		if err := tx.Put(store.Held, d.versionKey(r.Version), ids); err != nil {
			return err
		}
	}
	return put(tx, d.endKey(), digested{d.end, d.count, d.curve.last})
}

// put writes a value of a task as JSON.
func put(tx *store.Tx, key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return tx.Put(store.Task, key, raw)
}

// get reads one, and leaves v alone where there is none.
func get(tx *store.Tx, key string, v any) error {
	raw, err := tx.Get(store.Task, key)
	if err != nil || raw == nil {
		return err
	}
	return json.Unmarshal(raw, v)
}

// hold notes an update that is on disk for good.
func (d *digest) hold(tx *store.Tx, content model.Hash) error {
	if content.IsZero() {
		return nil
	}
	return tx.Put(store.Held, updateKey(d.task, content), nil)
}

func (d *digest) dropVersion(tx *store.Tx, number uint64) error {
	return tx.Delete(store.Held, d.versionKey(number))
}

// version names a published model: the same content is another version after
// a round that changed nothing.
type version struct {
	content model.Hash
	number  uint64
	state   model.Hash // of strategy and optimiser after it; only what is kept says it
}

// versionsOnDisk reads which versions of the model are on disk, oldest first.
func (d *digest) versionsOnDisk() (list []version, err error) {
	prefix := d.versionPrefix()
	err = d.store.View(func(tx *store.Tx) error {
		return tx.ForEach(store.Held, prefix, func(key string, ids []byte) error {
			number := key[len(prefix):]
			const size = len(model.Hash{})
			if len(number) != 8 || len(ids) != size && len(ids) != 2*size {
				return fmt.Errorf("%w: %q is no version of a model", store.ErrCorrupt, key)
			}
			v := version{content: model.Hash(ids[:size]), number: binary.BigEndian.Uint64([]byte(number))}
			copy(v.state[:], ids[size:])
			list = append(list, v)
			return nil
		})
	})
	return list, err
}

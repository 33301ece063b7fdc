package aggregator_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/wire"
)

// A task has one origin, on the disk and in record 0. One that was begun by a version
// without origins gets one at the start, and keeps it.
func TestOrigin(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Dial = func(context.Context) (net.Conn, error) { return nil, errors.New("nobody there") }
	cfg.Tasks[0].Init = initial(t, model.Spec{Name: "w", Shape: []int{4}})
	key := store.Key("quality", "origin")
	start := func() (onDisk, inRecord wire.Nonce) { // as far as the disk
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := aggregator.Run(ctx, cfg); err != nil {
			t.Fatal(err)
		}
		onStore(t, cfg.DataDir, func(tx *store.Tx) error {
			b, err := tx.Get(store.Task, key)
			copy(onDisk[:], b)
			return errors.Join(err, tx.RecordsOf("quality", 0, func(_ uint64, _ uint32, raw []byte) error {
				r, err := record.Decode(raw)
				inRecord = r.Origin
				return err
			}))
		})
		return onDisk, inRecord
	}
	first, named := start()
	if first.IsZero() || named != first {
		t.Errorf("origin %q on disk, %q in record 0", first, named)
	}
	if again, _ := start(); again != first {
		t.Errorf("origin %q, then %q", first, again)
	}
	onStore(t, cfg.DataDir, func(tx *store.Tx) error { // as the version before left it
		return errors.Join(tx.Delete(store.Task, key), tx.RecordsOf("quality", 0, func(_ uint64, _ uint32, raw []byte) error {
			r, err := record.Decode(raw)
			if err != nil {
				return err
			}
			r.Origin = wire.Nonce{}
			old, err := r.Encode(nil)
			return errors.Join(err, tx.Clear(store.Records, store.Key("quality", "")), tx.PutRecord("quality", 0, 0, old))
		}))
	})
	late, named := start()
	if late.IsZero() || late == first || !named.IsZero() {
		t.Errorf("an old task has the origin %q, its record 0 %q", late, named)
	}
	if again, _ := start(); again != late {
		t.Errorf("origin %q, then %q", late, again)
	}
}

func onStore(t *testing.T, dir string, fn func(*store.Tx) error) {
	t.Helper()
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Update(fn), s.Close()); err != nil {
		t.Fatal(err)
	}
}

package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

// A write of retained messages that fails is reported and tried again; nothing
// that was queued is lost, and topics that come and go meanwhile leave nothing.
func TestRetainedWaitsForTheDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, retainedWaits)
}

func retainedWaits(t *testing.T) {
	r, err := OpenRetained(filepath.Join(t.TempDir(), "retained.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	set := func(topic, what string) {
		if err := r.SetRetained(RetainedMessage{Topic: topic, Payload: []byte(what)}); err != nil {
			t.Error(err)
		}
	}
	var said []error
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	set("old", "there before")
	go func() { ended <- r.Run(ctx, func(err error) { said = append(said, err) }) }()
	disk := func(update func(func(*bolt.Tx) error) error) { // read between two turns of the lock
		r.mu.Lock()
		defer r.mu.Unlock()
		r.update = update
	}
	queued := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.pending)
	}
	wait := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
	wait(time.Second)
	disk(func(func(*bolt.Tx) error) error { return syscall.ENOSPC })
	set("a", "1")
	wait(100 * time.Millisecond)
	set("a", "2")
	r.DeleteRetained("old")
	for i := range 1000 {
		set(fmt.Sprint("flood", i), "x")
		r.DeleteRetained(fmt.Sprint("flood", i))
	}
	wait(10 * time.Second)
	if len(said) < 3 || len(said) > 6 || !errors.Is(said[0], ErrDisk) || !errors.Is(r.Failed(), syscall.ENOSPC) {
		t.Errorf("reports %v, failed %v", said, r.Failed())
	}
	if n := queued(); n != 2 {
		t.Errorf("%d changes wait, want 2", n)
	}
	disk(r.db.Update)
	wait(2 * retryAtMost)
	if said[len(said)-1] != nil || r.Failed() != nil {
		t.Errorf("reports %v, failed %v", said, r.Failed())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	got := map[string]string{}
	if err := r.EachRetained(func(m RetainedMessage) error { got[m.Topic] = string(m.Payload); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got["a"] != "2" {
		t.Errorf("stored %v", got)
	}
}

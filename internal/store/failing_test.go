package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
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
	r, err := OpenRetained(filepath.Join(t.TempDir(), "retained.db"), RestFor)
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

// A large message is written once it has stood for a while, and what is replaced
// before is not; but after a minute of changes the newest one is. Small ones do not
// wait for it, nor does the end.
func TestRetainedRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, retainedRests)
}

func retainedRests(t *testing.T) {
	r, err := OpenRetained(filepath.Join(t.TempDir(), "retained.db"), RestFor)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	var writes atomic.Int32
	r.update = func(fn func(*bolt.Tx) error) error {
		writes.Add(1)
		return r.db.Update(fn)
	}
	r.disk = watchedDisk{r.disk, func() error { writes.Add(1); return nil }}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, func(err error) { t.Error(err) }) }()
	large := func(what string) []byte { return append(make([]byte, largeRetained), what...) }
	set := func(topic string, payload []byte) {
		if err := r.SetRetained(RetainedMessage{Topic: topic, Payload: payload}); err != nil {
			t.Error(err)
		}
	}
	file := func() string {
		synctest.Wait()
		got := ""
		if err := r.EachRetained(func(m RetainedMessage) error {
			got += m.Topic + string(bytes.Trim(m.Payload, "\x00")) + " "
			return nil
		}); err != nil {
			t.Error(err)
		}
		return got
	}
	want := func(when, what string, most int32) {
		t.Helper()
		if got, n := file(), writes.Swap(0); got != what || n > most {
			t.Errorf("%s the file has %q after %d writes, want %q and up to %d", when, got, n, what, most)
		}
	}
	for i := range 3 {
		set("m", large(fmt.Sprint(i)))
		set("s", []byte{byte('0' + i)})
		time.Sleep(RestFor / 2)
	}
	want("half the time after the third change", "s2 ", 3)
	for i := range 100 {
		set(fmt.Sprintf("n%03d", i), large(""))
		time.Sleep(RestFor / 200)
	}
	set("m", []byte("small"))
	time.Sleep(RestFor / 4)
	want("after what became small", "msmall s2 ", 1)
	for i := range 100 {
		r.DeleteRetained(fmt.Sprintf("n%03d", i))
	}
	time.Sleep(2 * RestFor)
	want("of what came and went", "msmall s2 ", 0)
	for i := range 100 { // a part of a model is replaced again and again
		set("m", large(fmt.Sprint(i)))
		time.Sleep(RestFor / 10)
	}
	want("after 100 seconds of changes", "s2 m60 ", 2) // and it leaves the database
	time.Sleep(RestFor)
	want("after a rest", "s2 m99 ", 1)
	set("m", large("last"))
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	want("at the end", "s2 mlast ", 1)
}

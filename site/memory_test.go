package site

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// bump is a trainer that needs the model it returns and nothing else.
type bump struct{}

func (bump) Samples() int { return 10 }

func (bump) Train(_ context.Context, _ trainer.Job, global *model.Model) (*model.Model, error) {
	local := global.Clone()
	for i := 2; i < len(local.Blob); i += 4096 {
		local.Blob[i] = 0x40
	}
	return local, nil
}

// watch returns the most heap in use until it is called, above what was in use
// when it began.
func watch(t *testing.T) func() uint64 {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	from, most := m.HeapInuse, m.HeapInuse
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
		}
	})
	return func() uint64 {
		close(stop)
		wg.Wait()
		return most - from
	}
}

// From the model on the disk to the offer in the outbox, two rounds in a row, a
// site of ten million weights stays within three models and 64 MiB.
func TestMemory(t *testing.T) {
	const weights = 10_000_000
	dir := t.TempDir()
	d, err := openDisk(dir, testNS+"/"+testMember)
	if err != nil {
		t.Fatal(err)
	}
	base := wide(t, weights)
	if err := keep(d, testTask, base); err != nil {
		t.Fatal(err)
	}
	s, tk := bench(t, d)
	peak := watch(t)
	for round := range uint64(2) {
		j := member.Job{Key: member.Key{Round: round + 1, Base: base.ContentID(), Work: wire.WorkTrain}, ID: round + 1, Attempt: 1}
		r := work(t.Context(), job{Job: j, task: testTask, member: testMember, trainer: tk.Trainer, disk: d})
		if r.err != nil || r.reason != "" {
			t.Fatalf("%+v", r)
		}
		tk.result = &r
		ev, err := s.sealResult(tk, member.Seal{ID: j.ID, Stamp: wire.Stamp{Epoch: 1, Round: j.Round, Attempt: 1}, Base: j.Base, Schema: base.Schema.Hash(), Work: wire.WorkTrain, PartSize: wire.DefaultPart})
		if e, ok := ev.(member.EntryStored); err != nil || !ok || e.Entry.Blob == (wire.BlobKey{}) {
			t.Fatalf("%+v, %v", ev, err)
		}
	}
	got, most := peak(), uint64(3*len(base.Blob)+64<<20)
	t.Logf("peak heap %.1f MB for a model of %.1f MB: %.2f models", float64(got)/1e6, float64(len(base.Blob))/1e6, float64(got)/float64(len(base.Blob)))
	if got > most {
		t.Errorf("peak heap %d bytes, at most %d", got, most)
	}
	runtime.KeepAlive(base)
}

// bench is a driver without a link.
func bench(t *testing.T, d disk) (*site, *task) {
	t.Helper()
	s, err := newSite(Config{
		Broker: "tcp://127.0.0.1:1", Namespace: testNS, Member: testMember, Tasks: []Task{{Name: testTask, Trainer: bump{}}}, disk: d,
	}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	s.tasks[0].m.Step(0, member.Ordered{Order: member.Order{Origin: testOrigin, Order: wire.Order{Work: wire.WorkNone}}})
	return s, s.tasks[0]
}

package site

import (
	"context"
	"errors"
	"testing"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// An offer of before is found with its parts at a start; one whose envelope cannot
// be read, or is none, is dropped and made again, and the site starts all the same.
func TestOffersOfBefore(t *testing.T) {
	t.Parallel()
	d := &memory{id: wire.Nonce{1}}
	s, tk := bench(t, d)
	u := filled(t, 3_000, 1)
	for round := uint64(1); round <= 3; round++ {
		tk.result = &result{id: round, tensors: u}
		w := member.Seal{ID: round, Stamp: wire.Stamp{Epoch: 1, Round: round, Attempt: 1}, Base: content("a"), Schema: u.Schema.Hash(), Work: wire.WorkTrain, PartSize: wire.MinPart}
		tk.result.tensors = filled(t, 3_000, float32(round))
		if ev, err := s.sealResult(tk, w); err != nil || ev.(member.EntryStored).Entry.Parts.Count() != 3 {
			t.Fatalf("%+v, %v", ev, err)
		}
	}
	d.bytes[testTask][2] = []byte("garbage")
	delete(d.bytes[testTask], 3)

	d.state = map[string]member.State{testTask: {Origin: testOrigin}}
	again, tk := bench(t, d)
	if e, ok := tk.m.Entry(1); !ok || e.Parts.Count() != 3 || e.Parts.Key() != e.Blob {
		t.Errorf("round 1: %t, %d parts", ok, e.Parts.Count())
	}
	again.life = t.Context()
	if err := errors.Join(again.work(), again.flush(tk)); err != nil {
		t.Fatal(err)
	}
	for _, round := range []uint64{2, 3} {
		if _, there := d.box[testTask][round]; there {
			t.Errorf("round %d is still there", round)
		}
	}
	if _, there := d.box[testTask][1]; !there {
		t.Error("round 1 is gone")
	}
}

// Counts of classes that do not fit a message are left out, and the update goes without:
// inline, offered, and of a resealed one what fitted stays.
func TestCountsThatDoNotFit(t *testing.T) {
	t.Parallel()
	many := trainer.NewCounts(40, true)
	for i := range many.Scores {
		many.Scores[i] = 1
	}
	few := trainer.NewCounts(2, true)
	few.Add(0, 1, []float64{0.2, 0.8})
	for name, c := range map[string]struct {
		counts *trainer.Counts
		floats int
		kept   bool
	}{
		"offered": {many, 3_000, false}, "inline": {many, 2, false}, "few": {few, 2, true}, "few, offered": {few, 3_000, true},
	} {
		s, tk := bench(t, &memory{id: wire.Nonce{1}})
		u := filled(t, c.floats, 1)
		tk.result = &result{id: 1, tensors: u, metrics: trainer.Metrics{"n": 1}, counts: c.counts}
		tk.result.pack()
		w := member.Seal{ID: 1, Stamp: wire.Stamp{Epoch: 1, Round: 1, Attempt: 1}, Base: content("a"), Schema: u.Schema.Hash(), Work: wire.WorkTrain, PartSize: wire.MinPart}
		ev, err := s.sealResult(tk, w)
		if err != nil {
			t.Fatal(err)
		}
		tk.m.Step(0, ev)
		_, got, err := s.readBack(tk, 1)
		if _, stored := ev.(member.EntryStored); !stored || err != nil || (len(got.Counts) > 0) != c.kept || got.Metrics["n"] != 1 {
			t.Errorf("%s: %+v, %v, %d bytes of counts", name, ev, err, len(got.Counts))
		}
	}
}

// A part that is not what was offered is not sent: the update is made again (S-25).
func TestPartIsProven(t *testing.T) {
	t.Parallel()
	d := &memory{id: wire.Nonce{1}}
	s, tk := bench(t, d)
	tk.result = &result{id: 1, tensors: filled(t, 3_000, 1)}
	w := member.Seal{ID: 1, Stamp: wire.Stamp{Epoch: 1, Round: 1, Attempt: 1}, Work: wire.WorkTrain, PartSize: wire.MinPart}
	ev, err := s.sealResult(tk, w)
	if err != nil {
		t.Fatal(err)
	}
	e := ev.(member.EntryStored).Entry
	tk.m.Step(1, ev)
	tk.m.Ready()
	d.blobs[e.Content][5_000] ^= 1 // in the second part
	tk.update = outgoing{}         // its place was taken
	life, end := context.WithCancel(t.Context())
	s.life = life
	for i := range uint32(2) {
		if len(s.events) > 0 {
			t.Fatalf("told %+v of a part that is whole", s.events)
		}
		if err := s.sendPart(tk, member.SendPart{Round: 1, Index: i}); err != nil {
			t.Fatal(err)
		}
	}
	end()
	s.goes.Wait()
	if len(s.events) != 1 || s.events[0].event != (member.EntryLost{Round: 1}) {
		t.Errorf("told %+v", s.events)
	}
}

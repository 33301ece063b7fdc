package transfer

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// What is owed adds up over several calls: a place that the driver never heard
// of is not released, and an upload that is gone is not complete.
func TestReadyOverCalls(t *testing.T) {
	t.Parallel()
	k := Key{"t", "m"}
	whole := func(r *Receiver) {
		for i := range uint32(2) {
			r.Part(1, k, testPart("a", 2, i))
		}
	}
	offer := func(r *Receiver, name string) { r.Offer(1, testUpload(k, name, 2, 1)) }
	for name, c := range map[string]struct {
		calls func(r *Receiver)
		want  RecvReady
	}{
		"offered and withdrawn": {func(r *Receiver) { offer(r, "a"); r.Withdraw(1, k) }, RecvReady{}},
		"complete": {func(r *Receiver) { offer(r, "a"); r.Ready(); whole(r) }, RecvReady{
			Grants:   []Grant{{k, wire.Grant{Round: 1, Attempt: 1, Seq: 2, Blob: testBlob("a", 2).Key(), Ranges: []wire.Range{{First: 1, N: 1}}}}},
			Complete: []Whole{{k, model.ContentOf(testBytes("a", 2))}},
		}},
		"complete and withdrawn": {func(r *Receiver) { offer(r, "a"); r.Ready(); whole(r); r.Withdraw(1, k) }, RecvReady{Release: []Key{k}}},
		"complete and done":      {func(r *Receiver) { offer(r, "a"); r.Ready(); whole(r); r.Done(1, k) }, RecvReady{}},
		"replaced":               {func(r *Receiver) { offer(r, "a"); r.Ready(); offer(r, "b"); r.Withdraw(1, k) }, RecvReady{Release: []Key{k}}},
		"unknown":                {func(r *Receiver) { r.Withdraw(1, k); r.Done(1, k); whole(r) }, RecvReady{}},
	} {
		r := NewReceiver(ReceiverConfig{})
		r.Connected(1)
		c.calls(r)
		if diff := cmp.Diff(c.want, r.Ready(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		check(t, r)
	}
}

// A late part of an upload that has its place back, of which the caller has not
// heard, is not wanted: it had nowhere to go, and would not be asked for again.
func TestLatePart(t *testing.T) {
	t.Parallel()
	r := NewReceiver(ReceiverConfig{Uploads: 1})
	r.Connected(1)
	a, b := Key{"t", "a"}, Key{"t", "b"}
	r.Offer(1, testUpload(a, "a", 2, 1))
	r.Ready()
	first := testUpload(b, "b", 2, 1)
	first.Counted = true // it takes the place of a
	r.Offer(2, first)
	r.Ready()
	r.Withdraw(3, b) // a has it back
	if _, v := r.Part(3, a, testPart("a", 2, 1)); v != Unknown {
		t.Errorf("the part is %v, want %v", v, Unknown)
	}
	if rd := r.Ready(); len(rd.Admit) != 1 || rd.Admit[0].Key != a {
		t.Fatalf("%+v", rd)
	}
	if _, v := r.Part(4, a, testPart("a", 2, 1)); v != Wanted {
		t.Errorf("the part is %v, want %v", v, Wanted)
	}
	check(t, r)
}

// The budget grows to 256 parts and no further, and to 32 MiB whatever the part
// size (TR-24).
func TestBudgetMost(t *testing.T) {
	t.Parallel()
	r := NewReceiver(ReceiverConfig{})
	r.Connected(1)
	for i := range ms(600) {
		k, now := Key{"t", fmt.Sprint(i)}, 1+i*2*(grantFast+1)
		r.Offer(now, testUpload(k, "a", 1, 1))
		r.Ready()
		r.Part(now+grantFast+i%2, k, testPart("a", 1, 0)) // each other one is slow
		r.Done(now+grantFast+1, k)
		check(t, r)
		if want := min(budgetFirst+int(i+1)/2, budgetMost); r.budget != want {
			t.Fatalf("budget %d after %d ranges, want %d", r.budget, i+1, want)
		}
	}
	if r.budget != budgetMost {
		t.Errorf("budget %d", r.budget)
	}
	large := wire.Blob{Length: 100 << 22, Data: 4 << 20, Hashes: make([]byte, 100*wire.PartHash)}
	u := &upload{Upload: Upload{Blob: large}}
	if n := r.room(u, 0); n != 8 {
		t.Errorf("room for %d parts of 4 MiB", n)
	}
}

// An offer of a blob without parts, which no decoder gives, is no offer.
func TestOfferOfNothing(t *testing.T) {
	t.Parallel()
	r := NewReceiver(ReceiverConfig{})
	r.Connected(1)
	r.Offer(1, Upload{Key: Key{"t", "m"}})
	if diff := cmp.Diff(RecvReady{}, r.Ready(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if have, count := r.progress(Key{"t", "m"}); have != 0 || count != 0 {
		t.Errorf("%d of %d parts", have, count)
	}
}

// What has come is counted while an upload has its place.
func TestProgress(t *testing.T) {
	t.Parallel()
	r := NewReceiver(ReceiverConfig{Uploads: 1})
	r.Connected(1)
	a, b := Key{"t", "a"}, Key{"t", "b"}
	r.Offer(1, testUpload(a, "a", 3, 1))
	r.Offer(1, testUpload(b, "b", 3, 1))
	r.Ready()
	r.Part(1, a, testPart("a", 3, 2))
	p := NewPuller()
	p.Want(1, testBlob("a", 3), 0, wire.Blob{})
	p.Part(1, testPart("a", 3, 0), 0, 0)
	for _, c := range []struct {
		name     string
		progress func() (have, count int)
		have     int
	}{
		{"admitted", func() (int, int) { return r.progress(a) }, 1},
		{"waiting", func() (int, int) { return r.progress(b) }, 0},
		{"pulled", p.Progress, 1},
	} {
		if have, count := c.progress(); have != c.have || count != 3 {
			t.Errorf("%s: %d of %d parts, want %d of 3", c.name, have, count, c.have)
		}
	}
}

// A place that the driver has not heard of serves no other offer; one that was to be
// taken over is released with what would take it (TR-73).
func TestPlaceUntold(t *testing.T) {
	t.Parallel()
	r := NewReceiver(ReceiverConfig{})
	r.Connected(1)
	k := Key{"t", "m"}
	offer := func(name byte, frozen ...[]byte) {
		b := bytes.Join(append(frozen, testBytes(string(name), 2)), nil)
		blob, err := wire.NewBlob(b, wire.MinPart)
		if err != nil {
			t.Fatal(err)
		}
		r.Offer(1, Upload{Key: k, Content: [32]byte{name}, Blob: blob, Keep: true})
		if len(frozen) > 0 {
			r.Part(1, k, partOf(blob, b, 0))
		}
	}
	frozen := testBytes("frozen", 2)[:testData]
	offer('a', frozen)
	if rd := r.Ready(); len(rd.Admit) != 1 || len(rd.Release) != 0 {
		t.Fatalf("%+v", rd)
	}
	r.Part(1, k, partOf(r.byKey[k].Blob, bytes.Join([][]byte{frozen, testBytes("a", 2)}, nil), 0))
	offer('b', frozen) // takes the place over
	offer('c', frozen) // and is gone before anybody knows
	rd := r.Ready()
	if len(rd.Release) != 1 || len(rd.Admit) != 1 || len(rd.Admit[0].Fill) != 0 {
		t.Fatalf("%+v", rd)
	}
	r.Withdraw(1, k)
	if rd := r.Ready(); len(rd.Release) != 1 {
		t.Fatalf("%+v", rd)
	}
	check(t, r)
}

package site

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/bubble"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// slow is a disk on which a model is written when the test says so.
type slow struct {
	*memory
	begin chan struct{}
}

func (d slow) Write(id model.Hash, blob []byte) error {
	<-d.begin
	return d.memory.Write(id, blob)
}

// Nobody waits for the file of a model, but that what is in it stays until it is
// written: an update takes its place.
func TestModelIsWrittenFirst(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		d := slow{&memory{}, make(chan struct{}, 2)}
		h, tr := newHub(t), &fake{}
		cfg := h.config(tr)
		cfg.disk = d
		h.life(cfg)
		h.welcome()
		base := filled(t, 10_000, 1)
		h.parts(base, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
		h.manifest(0, 0, base)
		h.order(1, 1, wire.WorkTrain, base, small)
		wait(time.Second)
		if tr.trained.Load() != 1 || len(h.payloads("update")) != 0 {
			t.Fatalf("trained %d times, sent %d updates", tr.trained.Load(), len(h.payloads("update")))
		}
		d.begin <- struct{}{} // the model's
		d.begin <- struct{}{} // the update's
		wait(time.Second)
		_, o, _ := h.offer()
		h.grant(1, o, wire.Range{First: 0, N: uint32(o.Blob.Count())})
		if got := h.sentParts(o); len(got) != o.Blob.Count() {
			t.Errorf("sent %v", got)
		}
		if m, id, err := d.Model(testTask); err != nil || id != base.ContentID() || !bytes.Equal(m.Blob, base.Blob) {
			t.Errorf("the model on the disk: %v, %v", id, err)
		}
	})
}

// An update that nobody has settled within some seconds is synced, and one that a life
// before has left.
func TestUpdateIsSynced(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		d := &memory{}
		h, _, cfg, _, stop := offering(t, func(c *Config) { c.disk = d })
		synced := func() bool {
			d.mu.Lock()
			defer d.mu.Unlock()
			was := slices.Contains(d.calls, "sync")
			d.calls = nil
			return was
		}
		h.offer()
		if synced() {
			t.Error("it waited to be synced")
		}
		wait(6 * time.Second)
		if !synced() {
			t.Error("not synced")
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		h.life(cfg)
		wait(6 * time.Second)
		if !synced() {
			t.Error("not synced in the next life")
		}
	})
}

// The place of an update in memory is the next model's; its parts come from its file
// from then on. Of other sizes it is not, nor while the link may have parts of it.
func TestRoomIsUsedAgain(t *testing.T) {
	t.Parallel()
	s, tk := bench(t, &memory{id: wire.Nonce{1}})
	var parts [2]published
	tk.update = outgoing{content("u"), make([]byte, 1000, 1200), new(int)}
	at := &tk.update.bytes[0]
	e := member.Entry{Content: content("u"), Parts: wire.Blob{Length: 1000, Data: 4096}}
	for i := range parts {
		data, err := s.partData(tk, &e, 0, &parts[i])
		if err != nil || &data[0] != at {
			t.Fatalf("a part is not sent from where it lies: %v", err)
		}
	}
	s.sent(parts[0])
	s.unsent(published{telling: telling{task: tk}, err: errors.New("no PUBACK"), out: parts[1].out})
	if in, err := s.makeRoom(1100); err != nil || &in.(*receiving).b[0] == at {
		t.Errorf("the place of an update of which a part is under way: %v", err)
	}
	s.sent(parts[1])
	for _, size := range []int{1201, 500} {
		if in, err := s.makeRoom(size); err != nil || &in.(*receiving).b[0] == at || tk.update.bytes == nil {
			t.Errorf("%d bytes in the place of 1,200: %v", size, err)
		}
	}
	in, err := s.makeRoom(1100)
	if b := in.(*receiving).b; err != nil || &b[0] != at || len(b) != 1100 || tk.update.bytes != nil {
		t.Errorf("%d bytes, %v, still the update's: %t", len(b), err, tk.update.bytes != nil)
	}
}

// Of all tasks one model is in memory; the others' are on the disk.
func TestOneModelInMemory(t *testing.T) {
	t.Parallel()
	s, tk := bench(t, &memory{id: wire.Nonce{1}})
	other := &task{Task: Task{Name: "other"}}
	s.tasks = append(s.tasks, other)
	for _, of := range []*task{tk, other} {
		m := weights(t, 1, 2)
		if err := s.hold(of, member.Stored{Content: m.ContentID(), Schema: m.Schema.Hash()}, m, nil, false); err != nil {
			t.Fatal(err)
		}
	}
	if tk.held != nil || other.held == nil {
		t.Errorf("held: %v, %v", tk.held, other.held)
	}
	h, err := s.baseOf(&assignment{task: tk, job: member.Job{Key: member.Key{Base: content("a")}}})
	if _, id, lost := s.disk.Model(testTask); h != nil || err != nil || lost != nil || id.IsZero() {
		t.Errorf("%v, %v, on the disk: %v", h, err, lost)
	}
}

// Of models that came one soon after the other the last is the task's, whatever of their
// files is heard of when.
func TestModelsInTheirOrder(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		s, tk := bench(t, &memory{id: wire.Nonce{1}})
		s.life = t.Context()
		s.written = make(chan *writing, 2)
		hold := func(m *model.Model) {
			t.Helper()
			if err := s.hold(tk, member.Stored{Content: m.ContentID(), Schema: m.Schema.Hash()}, m, &wire.Blob{}, false); err != nil {
				t.Fatal(err)
			}
		}
		hold(filled(t, 1000, 1))
		last := filled(t, 1000, 2)
		hold(last)
		failed := s.atRest(tk)
		for range 2 {
			failed = errors.Join(failed, s.note(<-s.written))
		}
		failed = errors.Join(failed, s.atRest(tk))
		if _, id, err := s.disk.Model(testTask); failed != nil || err != nil || id != last.ContentID() {
			t.Errorf("the task's is %v, want %v; %v, %v", id, last.ContentID(), failed, err)
		}
	})
}

package site

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/store/storetest"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// jotting is a disk on which an entry of round 1 was saved, and one of round 2 is only
// jotted down, with a state and a model.
func jotting(t *testing.T, dir string) (boltDisk, change) {
	t.Helper()
	d, err := openDisk(dir, "node")
	if err != nil {
		t.Fatal(err)
	}
	if err := putEntry(d, "a", member.Entry{Round: 1}, []byte("one")); err != nil {
		t.Fatal(err)
	}
	m := weights(t, 1, 2)
	c := change{
		State: &member.State{Counter: 7}, Drop: []uint64{1}, Entry: &member.Entry{Round: 2, Content: content("u")},
		Envelope: []byte("two\nand\x00more"), Model: layoutOf(m.ContentID(), m, nil),
	}
	if err := d.Jot("a", c); err != nil {
		t.Fatal(err)
	}
	return d, c
}

// outbox opens a directory again, as after the end of a process.
func outbox(t *testing.T, dir string) (d boltDisk, rounds []uint64) {
	t.Helper()
	d, err := openDisk(dir, "node")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	had, err := d.Load("a")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range had.Entries {
		rounds = append(rounds, e.Round)
	}
	return d, rounds
}

// The end of the process takes nothing of what was jotted down.
func TestJotOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, c := jotting(t, dir)
	if err := d.Close(); err != nil { // without a Save
		t.Fatal(err)
	}
	d, rounds := outbox(t, dir)
	b, err := d.Envelope("a", 2)
	m, id, lost := d.Model("a")
	had, _ := d.Load("a")
	if err != nil || !slices.Equal(rounds, []uint64{2}) || !bytes.Equal(b, c.Envelope) || had.State.Counter != 7 {
		t.Errorf("rounds %v, envelope %q, %v, counter %d", rounds, b, err, had.State.Counter)
	}
	if lost != nil || id != c.Model.Content || m.ContentID() != id {
		t.Errorf("model %v, %v", id, lost)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "aside")); len(left) != 0 || len(d.s.Findings()) != 0 {
		t.Errorf("%d files left, found %v", len(left), d.s.Findings())
	}
}

// What a later transaction has, or another directory, is not done again; of two that
// follow one transaction the later is.
func TestJotOfBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, c := jotting(t, dir)
	c.Entry = &member.Entry{Round: 3}
	err := d.Jot("a", c)
	old := map[string][]byte{}
	files, _ := filepath.Glob(filepath.Join(dir, "aside", "*"))
	for _, f := range files {
		old[f], _ = os.ReadFile(f)
	}
	if err = errors.Join(err, d.Close()); err != nil || len(files) != 2 {
		t.Fatal(err, files)
	}
	d, rounds := outbox(t, dir)
	if !slices.Equal(rounds, []uint64{3}) {
		t.Fatalf("after two jots: %v", rounds)
	}
	if err = errors.Join(d.Save("a", change{Drop: []uint64{3}}), d.Close()); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	if err := os.Mkdir(filepath.Join(other, "aside"), 0o700); err != nil {
		t.Fatal(err)
	}
	for f, b := range old {
		if err := errors.Join(os.WriteFile(f, b, 0o600), os.WriteFile(filepath.Join(other, "aside", filepath.Base(f)), b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{dir, other} {
		if _, rounds := outbox(t, dir); len(rounds) != 0 {
			t.Errorf("older ones came back: %v", rounds)
		}
	}
}

// One that is cut short at any byte, or has another byte anywhere, is left out, and the
// one before it counts.
func TestJotIsTorn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d, c := jotting(t, dir)
	c.Entry = &member.Entry{Round: 3}
	if err := errors.Join(d.Jot("a", c), d.Close()); err != nil {
		t.Fatal(err)
	}
	state, err := os.ReadFile(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "aside", "*"))
	slices.Sort(files) // jots count from 1: the first lies in .1, the second in .0
	last, _ := os.ReadFile(files[0])
	first, _ := os.ReadFile(files[1])
	for i := range 40 {
		torn, at := slices.Clone(last), rand.IntN(len(last))
		if i%2 == 0 {
			torn = torn[:at]
		} else {
			torn[at] ^= 1 << rand.IntN(8)
		}
		again := t.TempDir()
		err := errors.Join(os.Mkdir(filepath.Join(again, "aside"), 0o700), os.WriteFile(filepath.Join(again, "state.db"), state, 0o600),
			os.WriteFile(filepath.Join(again, "aside", filepath.Base(files[0])), torn, 0o600), os.WriteFile(filepath.Join(again, "aside", filepath.Base(files[1])), first, 0o600))
		if err != nil {
			t.Fatal(err)
		}
		d, rounds := outbox(t, again)
		if !slices.Equal(rounds, []uint64{2}) || len(d.s.Findings()) != 1 {
			t.Fatalf("torn at %d of %d: %v, found %v", at, len(last), rounds, d.s.Findings())
		}
	}
}

// A jot is one write over a file that stays open, and waits for nothing.
func TestJotIsOneWrite(t *testing.T) {
	t.Parallel()
	files := storetest.New()
	s, err := store.Open(t.TempDir(), store.Options{Disk: files})
	if err != nil {
		t.Fatal(err)
	}
	d := boltDisk{s, map[string]*mark{}}
	if err := errors.Join(d.redo(), d.Save("a", change{State: &member.State{}})); err != nil {
		t.Fatal(err)
	}
	for i := range uint64(6) {
		n := len(files.Ops())
		if err := d.Jot("a", change{Entry: &member.Entry{Round: i}, Envelope: []byte("e")}); err != nil {
			t.Fatal(err)
		}
		if ops := files.Ops()[n:]; i >= 2 && (len(ops) != 1 || !strings.HasPrefix(ops[0], "write")) {
			t.Errorf("jot %d: %v", i, ops)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// Only what can be made again goes before it is durable. Where another entry still waits,
// that one is made durable first.
func TestPlainIsJotted(t *testing.T) {
	t.Parallel()
	d := &memory{id: wire.Nonce{1}}
	s, tk := bench(t, d)
	u := wire.Update{Samples: 1, Tensors: weights(t, 1, 2)}
	h := s.header(tk, wire.KindUpdate, tk.member.Update(), wire.Stamp{Round: 1})
	h.Base, h.Schema = content("base"), u.Tensors.Schema.Hash()
	h.Encoding = wire.EncodingDense
	put := func(round uint64, control bool) {
		t.Helper()
		h.Round = round
		if err := s.put(tk, &member.Entry{Round: round, Control: control}, h, u, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	put(1, false)
	if b, err := s.envelopeOf(tk, 1); err != nil || len(b) == 0 || !slices.Equal(d.calls, []string{"jot"}) {
		t.Errorf("%d bytes, %v, %v", len(b), err, d.calls)
	}
	put(2, false)
	put(3, true)
	if want := []string{"jot", "entry", "jot", "entry", "entry"}; !slices.Equal(d.calls, want) {
		t.Errorf("%v, want %v", d.calls, want)
	}
	put(4, false)
	s.later(tk, change{Drop: []uint64{4}})
	if err := s.flush(tk); err != nil || d.box[testTask][4].Round != 0 || d.box[testTask][3].Round != 3 {
		t.Errorf("%v, outbox %v", err, d.box[testTask])
	}
}

// A jotted offer that is dropped before its transaction leaves no file.
func TestDroppedJotLeavesNoFile(t *testing.T) {
	t.Parallel()
	s, tk := bench(t, &memory{id: wire.Nonce{1}})
	id := content("big")
	tk.unsaved = change{Entry: &member.Entry{Round: 4, Content: id, Blob: wire.BlobKey{1}}, Envelope: []byte("o")}
	s.later(tk, change{Drop: []uint64{4}})
	if u := tk.unsaved; u.Entry != nil || u.Envelope != nil || !slices.Equal(u.Gone, []model.Hash{id}) {
		t.Errorf("%+v", u)
	}
}

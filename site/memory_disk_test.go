package site

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// memory is a disk for the bubble. It survives the sites that use it.
type memory struct {
	mu     sync.Mutex
	state  map[string]member.State
	box    map[string]map[uint64]member.Entry
	bytes  map[string]map[uint64][]byte
	blobs  map[model.Hash][]byte
	calls  []string // in order
	models map[string]*keptModel
	left   map[string]private
	steers map[string]model.Hash // control variates
	fail   error
	id     wire.Nonce
}

func (d *memory) Identity() (wire.Nonce, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id, nil
}

func (d *memory) SetIdentity(id wire.Nonce) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.id = id
	return nil
}

func (d *memory) Load(task string) (saved, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := saved{State: d.state[task], Left: d.left[task], Control: d.steers[task]}
	for _, round := range slices.Sorted(maps.Keys(d.box[task])) {
		s.Entries = append(s.Entries, d.box[task][round])
	}
	if m := d.models[task]; m != nil {
		s.Model = member.Stored{Content: m.Content, Schema: m.Schema.Hash()}
		if m.Cut != nil {
			s.Cut = *m.Cut
		}
	}
	return s, nil
}

func (d *memory) Save(task string, c change) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.Entry != nil {
		d.calls = append(d.calls, "entry")
	} else {
		d.calls = append(d.calls, "save")
	}
	if d.state == nil {
		d.state, d.models, d.left = map[string]member.State{}, map[string]*keptModel{}, map[string]private{}
		d.box, d.bytes = map[string]map[uint64]member.Entry{}, map[string]map[uint64][]byte{}
	}
	if d.box[task] == nil {
		d.box[task], d.bytes[task] = map[uint64]member.Entry{}, map[uint64][]byte{}
	}
	for _, round := range c.Drop {
		delete(d.box[task], round)
		delete(d.bytes[task], round)
	}
	if c.State != nil {
		d.state[task] = *c.State
	}
	if c.Feedback != nil {
		d.left[task] = *c.Feedback
	}
	if c.Model != nil {
		d.models[task] = c.Model
	}
	if c.Control != nil {
		if d.steers == nil {
			d.steers = map[string]model.Hash{}
		}
		d.steers[task] = *c.Control
	}
	if c.Entry != nil {
		d.box[task][c.Entry.Round], d.bytes[task][c.Entry.Round] = *c.Entry, c.Envelope
	}
	return d.fail
}

// Jot is what outlives the process.
func (d *memory) Jot(task string, c change) error {
	if err := d.Save(task, c); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls[len(d.calls)-1] = "jot"
	return nil
}

// Write keeps what nobody needs any more: only boltDisk sweeps.
func (d *memory) Write(id model.Hash, blob []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.blobs == nil {
		d.blobs = map[model.Hash][]byte{}
	}
	d.blobs[id] = bytes.Clone(blob)
	d.calls = append(d.calls, "blob")
	return d.fail
}

func (d *memory) Remove(...model.Hash) error { return nil }

func (d *memory) Sync(model.Hash) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, "sync")
	return d.fail
}

func (d *memory) Update(id model.Hash) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.blobs[id]
	if model.ContentOf(b) != id {
		return nil, store.ErrCorrupt
	}
	return bytes.Clone(b), nil
}

func (d *memory) Part(id model.Hash, b []byte, off int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := copy(b, d.blobs[id][min(int(off), len(d.blobs[id])):]); n < len(b) {
		return store.ErrMissing
	}
	return nil
}

func (d *memory) Receive(size int64) (incoming, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &receiving{make([]byte, size)}, d.fail
}

func (d *memory) Envelope(task string, round uint64) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, "envelope")
	if b := d.bytes[task][round]; b != nil {
		return b, nil
	}
	return nil, io.ErrUnexpectedEOF
}

func (d *memory) Model(task string) (*model.Model, model.Hash, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.models[task]
	if k == nil {
		return nil, model.Hash{}, io.ErrUnexpectedEOF
	}
	m := &model.Model{Schema: k.Schema, Blob: bytes.Clone(k.bytes)}
	if !k.InState {
		m.Blob = bytes.Clone(d.blobs[k.Content])
	}
	if m.ContentID() != k.Content {
		return nil, k.Content, store.ErrCorrupt
	}
	return m, k.Content, nil
}

func (d *memory) Close() error { return nil }

// keep makes a model that of a task.
func keep(d disk, task string, m *model.Model) error {
	k := layoutOf(m.ContentID(), m, nil)
	if !k.InState {
		if err := d.Write(k.Content, m.Blob); err != nil {
			return err
		}
	}
	return d.Save(task, change{Model: k})
}

// putEntry puts an entry into the outbox of a task.
func putEntry(d disk, task string, e member.Entry, envelope []byte) error {
	return d.Save(task, change{Entry: &e, Envelope: envelope})
}

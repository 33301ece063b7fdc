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
	models map[string]*model.Model
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
	s := saved{State: d.state[task]}
	for _, round := range slices.Sorted(maps.Keys(d.box[task])) {
		s.Entries = append(s.Entries, d.box[task][round])
	}
	if m := d.models[task]; m != nil {
		s.Model = member.Stored{Content: m.ContentID(), Schema: m.Schema.Hash()}
	}
	return s, nil
}

func (d *memory) Save(task string, st *member.State, drop []uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, "save")
	for _, round := range drop {
		delete(d.box[task], round)
		delete(d.bytes[task], round)
	}
	if st != nil {
		if d.state == nil {
			d.state = map[string]member.State{}
		}
		d.state[task] = *st
	}
	return d.fail
}

func (d *memory) PutEntry(task string, e member.Entry, envelope []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.box == nil {
		d.box, d.bytes = map[string]map[uint64]member.Entry{}, map[string]map[uint64][]byte{}
	}
	if d.box[task] == nil {
		d.box[task], d.bytes[task] = map[uint64]member.Entry{}, map[uint64][]byte{}
	}
	d.box[task][e.Round], d.bytes[task][e.Round] = e, envelope
	d.calls = append(d.calls, "entry")
	return d.fail
}

// PutUpdate ignores who needs a blob no more: only boltDisk sweeps.
func (d *memory) PutUpdate(blob []byte) (model.Hash, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := model.HashOf(blob)
	if d.blobs == nil {
		d.blobs = map[model.Hash][]byte{}
	}
	d.blobs[id] = bytes.Clone(blob)
	d.calls = append(d.calls, "blob")
	return id, d.fail
}

func (d *memory) Update(id model.Hash) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.blobs[id]
	if model.HashOf(b) != id {
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

// piecemeal is a model on its way to memory.
type piecemeal struct{ b []byte }

func (p *piecemeal) WriteAt(b []byte, off int64) (int, error) { return copy(p.b[off:], b), nil }
func (p *piecemeal) Discard() error                           { return nil }

func (d *memory) Receive(size int64) (incoming, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &piecemeal{make([]byte, size)}, d.fail
}

func (d *memory) KeepModel(task string, id model.Hash, s model.Schema, cut wire.Blob, in incoming) error {
	m := &model.Model{Schema: s, Blob: in.(*piecemeal).b}
	if m.ContentID() != id {
		return store.ErrCorrupt
	}
	return d.PutModel(task, id, m)
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

func (d *memory) PutModel(task string, _ model.Hash, m *model.Model) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.models == nil {
		d.models = map[string]*model.Model{}
	}
	d.models[task] = m.Clone()
	d.calls = append(d.calls, "model")
	return d.fail
}

func (d *memory) Model(task string) (*model.Model, model.Hash, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.models[task]; m != nil {
		return m.Clone(), m.ContentID(), nil
	}
	return nil, model.Hash{}, io.ErrUnexpectedEOF
}

func (d *memory) Close() error { return nil }

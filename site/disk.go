package site

import (
	"errors"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// disk is what a site keeps. Errors that wrap store.ErrMissing or
// store.ErrCorrupt say that a model is to be fetched again; all others end the
// site.
type disk interface {
	// Identity returns what SetIdentity has saved, zero at the first start.
	Identity() (wire.Nonce, error)
	SetIdentity(id wire.Nonce) error
	// Load returns what was saved of a task, zero at the first start.
	Load(task string) (saved, error)
	// Save makes the state durable (nil: unchanged) and drops outbox entries,
	// in one transaction.
	Save(task string, st *member.State, drop []uint64) error
	// PutUpdate makes the bytes of an update durable that will be offered, and
	// returns their content id. The entry that names them follows.
	PutUpdate(blob []byte) (model.Hash, error)
	// PutEntry makes an entry and its envelope durable.
	PutEntry(task string, e member.Entry, envelope []byte) error
	// Envelope returns the bytes of an entry.
	Envelope(task string, round uint64) ([]byte, error)
	// Update returns the bytes of an offered update, whole and checked.
	Update(id model.Hash) ([]byte, error)
	// Part reads len(b) bytes of an offered update, or of a model that came in parts,
	// from off on, unchecked.
	Part(id model.Hash, b []byte, off int64) error
	// PutModel keeps a model in place of the one before.
	PutModel(task string, id model.Hash, m *model.Model) error
	// Receive makes room for a model that comes in parts.
	Receive(size int64) (incoming, error)
	// KeepModel is PutModel of what was received. Other bytes than id names are
	// store.ErrCorrupt; in is used up in any case. cut is how it came in parts.
	KeepModel(task string, id model.Hash, s model.Schema, cut wire.Blob, in incoming) error
	// Model returns the model kept, and its content id, checked.
	Model(task string) (*model.Model, model.Hash, error)
	Close() error
}

// incoming is a model whose parts are on their way.
type incoming interface {
	WriteAt(b []byte, off int64) (int, error)
	Discard() error
}

// isGone reports whether a model or an update must be made or fetched again,
// rather than the disk be given up.
func isGone(err error) bool {
	return !errors.Is(err, store.ErrDisk)
}

// saved is a task as it stood.
type saved struct {
	State   member.State
	Entries []member.Entry
	Model   member.Stored
	Cut     wire.Blob // of the model, without parts: it did not come in any
}

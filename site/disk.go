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
	// Save makes a change durable, in one transaction.
	Save(task string, c change) error
	// Jot writes a change where the end of the process does not take it, and a power loss
	// may. It is all that has changed since the last Save, and the next one has it too.
	Jot(task string, c change) error
	// Write writes the bytes of an update or of a model, whose content id is id. They
	// survive the process, and a power loss once they are synced.
	Write(id model.Hash, blob []byte) error
	// Sync makes durable what was written; what is gone meanwhile is no error.
	Sync(id model.Hash) error
	// Remove deletes what was written and is not needed, but what the last Save of some
	// task names.
	Remove(ids ...model.Hash) error
	// Envelope returns the bytes of an entry.
	Envelope(task string, round uint64) ([]byte, error)
	// Update returns the bytes of an offered update, whole and checked.
	Update(id model.Hash) ([]byte, error)
	// Part reads len(b) bytes of an offered update, or of a model that came in parts,
	// from off on, unchecked.
	Part(id model.Hash, b []byte, off int64) error
	// Receive makes room in a file for a model that comes in parts.
	Receive(size int64) (incoming, error)
	// Model returns the model kept, and its content id, checked.
	Model(task string) (*model.Model, model.Hash, error)
	Close() error
}

// change is what becomes durable of a task at once. The zero value changes nothing.
type change struct {
	State    *member.State // nil: as it was
	Drop     []uint64      // outbox entries, by round
	Entry    *member.Entry // comes into the outbox, after Drop
	Envelope []byte        // of that entry
	Model    *keptModel    // in place of the one before
	Feedback *private      // likewise
	Gone     []model.Hash  // was written, and is of no use
	Control  *model.Hash   // was written: the site's control variates, in place of those before; zero: there are none
}

func (c change) empty() bool {
	return c.State == nil && c.Drop == nil && c.Entry == nil && c.Model == nil && c.Feedback == nil && c.Gone == nil && c.Control == nil
}

// keptModel is a model as it becomes the task's.
type keptModel struct {
	layout
	bytes []byte // of one that is in the state; those of others were written
}

// incoming is a model whose parts are on their way.
type incoming interface {
	WriteAt(b []byte, off int64) (int, error)
	// Commit returns all of it, which is the content id, as the hashes of its leaves say.
	// Where the last bytes were not written, it is store.ErrCorrupt. It is
	// used up in any case. With stored they are a file that has the name of id.
	Commit(id model.Hash) (b []byte, stored bool, err error)
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
	Left    private
	Control model.Hash
}

// layout names a stored model: where its bytes are and how to read them.
type layout struct {
	Content model.Hash   `json:"content"`
	Schema  model.Schema `json:"schema"`
	InState bool         `json:"in_state,omitempty"` // under bytesKey; else they are a blob
	Cut     *wire.Blob   `json:"cut,omitempty"`      // how it came in parts
}

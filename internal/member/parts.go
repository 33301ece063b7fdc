package member

import (
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/wire"
)

// Manifest is a verified manifest: what it says, and what its header does.
type Manifest struct {
	wire.Manifest
	Is Stored
}

func (a Manifest) same(b Manifest) bool {
	return a.Is == b.Is && a.Slot == b.Slot && a.Blob.Equal(b.Blob)
}

// pull is how a model comes in parts (S-21): the puller says which are asked for,
// the driver has a file for those that came.
type pull struct {
	puller  *transfer.Puller
	newest  *target      // of the manifest announced last
	target  *target      // the newest of what is wanted, nil: nothing is pulled
	broken  wire.BlobKey // its parts have made another content than its manifest said
	room    uint64       // bytes of the file, 0: there is none
	whole   bool         // all parts are in it, and it is being looked at
	began   ms
	ignored int // parts nobody asked for
	copied  int // bytes that were taken from the model at hand
	wake    ms
}

// target is a manifest that can be pulled.
type target struct {
	Manifest
	blobKey wire.BlobKey
}

func (t *target) blob() wire.Blob {
	if t == nil {
		return wire.Blob{}
	}
	return t.Blob
}

func (t *target) key() wire.BlobKey {
	if t == nil {
		return wire.BlobKey{}
	}
	return t.blobKey
}

// announced takes a manifest. Of the same content in other parts or another slot
// it is a new target: what was there may be overwritten.
func (p *pull) announced(m Manifest) {
	if p.newest == nil || !p.newest.same(m) {
		p.newest = &target{m, m.Blob.Key()}
	}
}

// upload is an offered update whose parts were asked for (S-24).
type upload struct {
	round  uint64
	key    wire.BlobKey
	id     uint64 // another one for each link
	size   int    // of a part's message
	sender *transfer.Sender
}

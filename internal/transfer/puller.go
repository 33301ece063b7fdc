package transfer

import "github.com/fedmq/fedmq/wire"

// Puller fetches one blob at a time from the retained topics of its slot. It
// starts disconnected.
type Puller struct{}

// PullReady is what a Puller owes, in the order of the fields.
type PullReady struct {
	Unsubscribe []PartFilter
	Subscribe   []PartFilter // at most 16 are outstanding
	Need        []wire.Range // ask the owner for these; nil mostly, at most wire.MaxRanges
	Done        bool         // every part is there; said once
	Wake        int64        // when the next Tick is wanted, 0 for never
}

// NewPuller returns a puller that wants nothing.
func NewPuller() *Puller { return &Puller{} }

// Want sets the target. Another blob or slot drops the old target; for the
// same blob and slot nothing changes. A target that is complete stays so until
// Drop.
func (p *Puller) Want(now int64, blob wire.Blob, slot uint32) {}

// Drop forgets the target.
func (p *Puller) Drop(now int64) {}

// Connected says that the link is up.
func (p *Puller) Connected(now int64) {}

// Disconnected says that the link is down: its subscriptions are gone.
func (p *Puller) Disconnected(now int64) {}

// Part takes what arrived on the topic of a slot and index. If ok, it is
// proven and new, and the caller keeps part.Data at off of the blob.
func (p *Puller) Part(now int64, part wire.Part, slot, index uint32) (off int, ok bool) {
	return 0, false
}

// Tick passes the time.
func (p *Puller) Tick(now int64) {}

// Ready returns what is owed since the last call.
func (p *Puller) Ready() PullReady { return PullReady{} }

// Progress returns how many parts of the target are there, 0 of 0 without one.
func (p *Puller) Progress() (have, count int) { return 0, 0 }

package transfer

import "github.com/fedmq/fedmq/wire"

// ReceiverConfig is what a receiver is told once.
type ReceiverConfig struct {
	Uploads int // admitted at once; default 64
	Offers  int // known at once, admitted or waiting; default 4,096
}

// Receiver grants and proves the parts of all uploads of one link. It starts
// disconnected.
type Receiver struct{}

// PartVerdict says what a part is worth.
type PartVerdict uint8

// The verdicts. Only a Wanted part is to be kept.
const (
	Unknown   PartVerdict = iota // of no admitted upload
	Wanted                       // proven and new
	Duplicate                    // of a part that is there
	Bad                          // not the part that the offer described
)

// RecvReady is what a Receiver owes, in the order of the fields.
type RecvReady struct {
	Release  []Key // drop the staging place
	Admit    []Key // make a staging place
	Grants   []Grant
	Waits    []Wait
	Complete []Key // every part is there; said once, then Done or Withdraw
	Wake     int64 // when the next Tick is wanted, 0 for never
}

// NewReceiver returns a receiver without uploads.
func NewReceiver(cfg ReceiverConfig) *Receiver { return &Receiver{} }

// Offer takes a member's offer, first or again.
func (r *Receiver) Offer(now int64, u Upload) {}

// Withdraw forgets an upload that is not wanted any more, and releases its
// place.
func (r *Receiver) Withdraw(now int64, key Key) {}

// Done forgets an upload whose place the driver has taken over.
func (r *Receiver) Done(now int64, key Key) {}

// Part takes a part that arrived from a member. If it is Wanted, the caller
// keeps its data at off of the blob.
func (r *Receiver) Part(now int64, key Key, p wire.Part) (off int, verdict PartVerdict) {
	return 0, Unknown
}

// Connected says that the link is up and its subscriptions are granted.
func (r *Receiver) Connected(now int64) {}

// Disconnected says that the link is down: all grants expire.
func (r *Receiver) Disconnected(now int64) {}

// Tick passes the time.
func (r *Receiver) Tick(now int64) {}

// Ready returns what is owed since the last call.
func (r *Receiver) Ready() RecvReady { return RecvReady{} }

// Progress returns how many parts of an upload are there, 0 of 0 if it is not
// known.
func (r *Receiver) Progress(key Key) (have, count int) { return 0, 0 }

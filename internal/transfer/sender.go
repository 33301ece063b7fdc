package transfer

import "github.com/fedmq/fedmq/wire"

// Sender sends the parts of one offered blob as they are granted.
type Sender struct{}

// NewSender returns a sender without a grant.
func NewSender(blob wire.Blob) *Sender { return &Sender{} }

// Grant takes a grant of an aggregator's epoch for the round of this upload.
// It counts if it names this blob and comes after the last one by (epoch,
// seq); ok says so.
func (s *Sender) Grant(now int64, epoch uint64, g wire.Grant) (ok bool) { return false }

// Sent reports what came of publishing a part: ok once the broker has
// acknowledged it.
func (s *Sender) Sent(now int64, index uint32, ok bool) {}

// Disconnected drops what is granted; the aggregator grants again when the
// offer is repeated.
func (s *Sender) Disconnected() {}

// Ready returns the parts to publish now, at most 8 are in flight; each is
// answered by Sent, or by Disconnected for all.
func (s *Sender) Ready() (next []uint32) { return nil }

// Progress returns how many parts the broker has acknowledged at least once.
func (s *Sender) Progress() (sent, count int) { return 0, 0 }

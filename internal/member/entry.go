package member

import (
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// maxEntries is how many unanswered envelopes a task keeps (S-15).
const maxEntries = 16

// Entry is an envelope in the outbox.
type Entry struct {
	Round    uint64
	Attempt  uint32
	Base     model.Hash
	Work     string
	Content  model.Hash
	Blob     wire.BlobKey `json:",omitzero"`  // of an offer
	PartSize uint32       `json:",omitempty"` // under which it was sealed; 0: not known
	Bulk     string       `json:",omitempty"` // root of bulk in its topic
	Control  bool         `json:",omitempty"` // the site's control variates follow its fate
	Late     bool         `json:",omitempty"` // it may count in a later round
	Parts    wire.Blob    `json:"-"`          // what the offer says that Blob is
	answered bool         // nothing more is due before the next order
	stuck    bool         // it does not fit the part size of the order in force
	ahead    uint32       // uploads that come first, as the aggregator says
	in       uint64       // round whose record will have it, 0: not known
	sent     uint64       // round of the order under which it was sent last in this life, 0: it was not
	timer
}

// fresh is the entry as it begins a life of the machine.
func (e Entry) fresh() *Entry {
	e.timer, e.answered, e.stuck, e.ahead, e.in, e.sent = timer{}, false, false, 0, 0, 0
	return &e
}

func (e *Entry) usable(o *Order) bool {
	return e.Round == o.Round && e.Base == o.Base && e.Work == o.Work && e.Attempt >= o.ValidFrom
}

// over reports whether the entry was sealed for larger messages than the order
// allows (S-26), or for a topic where nobody may listen any more (S-49).
func (e *Entry) over(o *Order) bool {
	return o != nil && (o.PartSize > 0 && e.PartSize > o.PartSize || e.Bulk != o.Bulk)
}

package member

import (
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Ready is the work owed since the last one. The driver does it in the order of
// the fields.
type Ready struct {
	Save   *State   // to be durable, together with Drop, before anything below
	Drop   []uint64 // rounds whose outbox entries go
	Store  *Stored  // the model that came whole becomes the task's, before anything below
	Cancel uint64   // id of the job to stop, 0: none
	Seal   *Seal    // put the finished job's result into the outbox, answer EntryStored or Unsealed
	Reseal *Reseal  // seal an entry anew, answer EntryStored, EntryStuck or EntryLost

	Write    []Piece   // what came of the model that is received
	Discard  bool      // all that came of it goes
	Receive  uint64    // make room for a model of so many bytes, 0: none
	Copy     *Copy     // what of it the model at hand has
	Assemble *Assemble // all of it is there: make it the task's model, answer ModelStored or ModelBroken

	Unsubscribe []transfer.PartFilter
	Subscribe   []transfer.PartFilter
	Send        []Send
	Ask         []Ask // retained topics to be subscribed to once more

	Start    *Job      // answer Began, Finished or ModelLost
	Settled  []Settled // the fate of updates is known
	Show     *View     // the status has changed
	Anew     string    // the task begins anew, in words for a person
	Progress bool      // PullProgress or UploadProgress has
	Stop     string    // the site must end, with this reason
	Wait     *Wait     // the site must leave, and may come again
	Wake     int64     // when the next Tick is wanted, 0: never
}

// Seal asks for an envelope around the result of job ID.
type Seal struct {
	ID       uint64
	Stamp    wire.Stamp
	Base     model.Hash
	Schema   model.Hash
	Work     string
	PartSize uint32
	Bulk     string // root of bulk of its topic
	Late     bool   // it may count in a later round
}

// Reseal asks for another envelope around the content of an entry.
type Reseal struct {
	Round    uint64
	PartSize uint32
	Bulk     string
}

// Piece is a proven part of the model that is received, and its place.
type Piece struct {
	Off  int64
	Data []byte
}

// Copy names what a model that is received has in common with the one at hand. What is
// copied is told by [Machine.Copied]. What cannot be read is left out: the whole is checked.
type Copy struct {
	Of   model.Hash
	Same []transfer.Same
}

// Assemble says what the parts that came are to be; what they are says [Machine.Received].
type Assemble struct {
	Manifest
	Began   int64 // when the first was asked for
	Copied  int   // bytes of it that were at hand
	Ignored int   // parts that came and were of no use
}

// Settled says whether an update of this member is in the sum of its round.
type Settled struct {
	Round   uint64
	Counted bool
	Entry   Entry // as it was in the outbox
}

// Wait says that another process speaks for the member.
type Wait struct {
	For  ms
	Host string // where it runs
}

// Ask is a topic that the site is subscribed to.
type Ask uint8

// The topics.
const (
	AskOrder Ask = iota + 1
	AskRecord
	AskModel
	AskReply
)

// Send is a message owed. The set is closed.
type Send interface{ isSend() }

type (
	// SendJoin is a join with its counter, the highest order seen and the schema of
	// the model at hand.
	SendJoin struct {
		Counter uint64
		Seen    wire.Stamp
		Schema  model.Hash
	}
	// SendAgain is the last join, the same bytes: the process is there.
	SendAgain struct{}
	// SendEntry is the outbox entry of a round, the same bytes every time. Answer
	// EntrySent.
	SendEntry struct{ Round uint64 }
	// SendPart is a part of the update that the entry of a round offers. Answer
	// PartSent, or EntryLost if it cannot be read back.
	SendPart struct {
		Upload uint64
		Round  uint64
		Index  uint32
	}
	// SendDecline says that nothing will come for an order.
	SendDecline struct {
		Stamp  wire.Stamp
		Base   model.Hash
		Schema model.Hash
		Reason string
		Detail string
	}
	// SendNeed asks for parts of a model that the broker does not bring.
	SendNeed struct {
		Seen wire.Stamp
		Is   Stored
		Need wire.Need
	}
)

func (SendJoin) isSend()    {}
func (SendAgain) isSend()   {}
func (SendEntry) isSend()   {}
func (SendPart) isSend()    {}
func (SendDecline) isSend() {}
func (SendNeed) isSend()    {}

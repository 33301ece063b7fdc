package round

import (
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// Event is what a driver tells the machine: one of the types below.
type Event interface{ isEvent() }

// Started is the first event of a process, once the driver has looked for its
// own order on the broker. SeenEpoch is the highest epoch that it found there,
// 0 for none. The epoch rises and the next attempt opens.
type Started struct {
	SeenEpoch uint64
	Instance  wire.Nonce
	Same      bool // an attempt that is open goes on, under the new epoch, instead of the next one
}

// Roster says who may be a member from now on. Who is not any more is in no later
// cohort, and refused.
type Roster struct{ Members []topics.MemberFilter }

// Connected says that the link is up and its subscriptions are granted. The machine
// starts disconnected.
type Connected struct{}

// Disconnected says that the link is down.
type Disconnected struct{}

// Tick passes the time; one is wanted at Ready.Wake.
type Tick struct{}

// Published says that the order of this epoch, round and attempt is on the broker (its
// PUBACK has come), model and parts before it. The deadline starts with the
// first one.
type Published struct {
	Order wire.Stamp
}

// Join is a member's join that passed the driver's checks. Digest is the
// SHA-256 of its bytes; a zero Schema is an unknown one.
type Join struct {
	Member   string
	Samples  uint64
	Schema   model.Hash
	Instance wire.Nonce
	Disk     wire.Nonce // of its data directory
	Host     string
	Counter  uint64
	Digest   model.Hash
	Contract *pipeline.Contract // of its trainer; nil: not known

	Capabilities []string // of its trainer
}

// Update is a member's contribution, or one that the driver kept on disk and
// offers again after a restart. Round, Attempt and Base are its header's.
// Problem is what decoding and checking found, None if nothing.
type Update struct {
	Member  string
	Round   uint64
	Attempt uint32
	Base    model.Hash
	Content model.Hash
	Samples uint64
	Problem verdict.Reason // a refusal, or None
	Detail  string         // for the refusal, from a closed set of the driver's
	Norm    float64
	Bytes   int64 // as it travelled
	Offer   bool  // it is only offered: answered by SendAdmit where it would be accepted
}

// Uploading says that the upload of an offered update runs, or that it has
// ended, however. Running ones end a member's silence and hold a deadline up
// for a moment; it may be repeated.
type Uploading struct {
	Member string
	On     bool
}

// Heard says that a member sent something that is not the machine's business:
// it is not silent.
type Heard struct {
	Member string
}

// Decline is a member's refusal to take part in one attempt.
type Decline struct {
	Member  string
	Round   uint64
	Attempt uint32
	Reason  string
	Refused bool // because an update of it for this round was refused for good
	Setting bool // because its trainer does not know a setting of the order
}

// Presence is what a member's presence says (S-1), by its process or, as the Last Will
// of one of its connections, by the broker.
type Presence struct {
	Member     string
	Instance   wire.Nonce // of the process; zero: one of a version that does not say
	Connection uint64     // of the process, counted
	Online     bool
	Ended      bool // the process itself says that it leaves
}

// Leave takes a member out of all later cohorts, until it joins again.
type Leave struct {
	Member string
}

// Committed answers Ready.Commit: model and record are computed and their
// blobs durable. Base is the content id of the model that the next round
// starts from; the Ready that follows belongs in one transaction with the
// record.
type Committed struct {
	Base       model.Hash
	RecordHash model.Hash
	Thresholds map[string]float64 // of rounds of training that are opened from now on
	Score      *Score             // of the model that the round began with; nil: nothing was measured that decides
}

// Op is what a command asks for.
type Op string

// The commands.
const (
	OpStart    Op = "start"     // open with a quorum, or go on after a stop
	OpPause    Op = "pause"     // when the attempt ends
	OpPauseNow Op = "pause_now" // abandon the attempt
	OpResume   Op = "resume"
	OpStop     Op = "stop"    // abandon the attempt; only start goes on
	OpExclude  Op = "exclude" // ask these members no more, from the next order on
	OpInclude  Op = "include"
	OpRelease  Op = "release" // a version for use
	OpRollback Op = "rollback"
	OpSet      Op = "set" // other settings of training, from the next round on
)

// Command is an operator's command, with the round at which it is meant; a
// resume has the id of the pause that it ends instead, a release the version, and its model
// if the driver has it.
type Command struct {
	ID      string
	Op      Op
	AtRound uint64
	Pause   string
	Members []string   // of exclude and include: paths
	Version uint64     // of release and rollback
	Model   model.Hash // its model, if the driver has it
	To      []string   // of release: filters of the paths that run the version first; none: all
	Asked   int        // members that To matches
	Tried   *Tried     // what these have measured of the version; nil: nothing
	Back    bool       // of rollback: the canary alone

	Settings map[string]any // of set: numbers and texts by name, nil for the configuration's; not changed
}

// Untaken is a node that could not take the canary.
type Untaken struct {
	Path    string
	Version uint64
	BeganMS int64 // of the canary
	Why     string
}

// Fenced says that a verified order of another process of this owner was seen. If it
// outranks this one, the machine sends nothing any more.
type Fenced struct {
	Epoch    uint64
	Instance wire.Nonce
}

func (Started) isEvent()      {}
func (Connected) isEvent()    {}
func (Disconnected) isEvent() {}
func (Tick) isEvent()         {}
func (Untaken) isEvent()      {}
func (Published) isEvent()    {}
func (Join) isEvent()         {}
func (Update) isEvent()       {}
func (Uploading) isEvent()    {}
func (Heard) isEvent()        {}
func (Decline) isEvent()      {}
func (Presence) isEvent()     {}
func (Leave) isEvent()        {}
func (Committed) isEvent()    {}
func (Command) isEvent()      {}
func (Fenced) isEvent()       {}
func (Roster) isEvent()       {}

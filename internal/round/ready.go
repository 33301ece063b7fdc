package round

import (
	"slices"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Ready is what the machine owes since the last Ready, to be done in the order
// of the fields: all of Save in one transaction, then the fold, then what is
// sent, then the commit.
type Ready struct {
	Save    Save
	Restart bool       // begin an empty sum under State.Params and State.Base, before Fold
	Fold    []Accepted // in order of acceptance
	Send    []Message
	Commit  *Commit // close the sum; answer with Step(Committed)
	Wake    int64   // time of the next Tick wanted, 0 for none
}

// Empty reports whether nothing is owed.
func (r Ready) Empty() bool {
	return r.Save.Empty() && !r.Restart && len(r.Fold) == 0 && len(r.Send) == 0 && r.Commit == nil
}

// Turns reports whether what is owed changes what the next message means: it
// is to be done first.
func (r Ready) Turns() bool {
	return r.Restart || r.Commit != nil || len(r.Save.Records) > 0 || slices.ContainsFunc(r.Send, func(m Message) bool {
		_, order := m.(SendOrder)
		return order
	})
}

// Save is one transaction: drop the journal if asked to, append the verdicts,
// replace the state and the members that have changed, add the records.
type Save struct {
	State       *State    // nil: unchanged
	Members     []Place   // new, or changed
	DropJournal bool      // a new round: the old one's verdicts are in its record
	Verdicts    []Verdict // to append to the journal
	Records     []Record  // of abandoned attempts, oldest first; a commit's record is the driver's
}

// Empty reports whether nothing is to be saved.
func (s Save) Empty() bool {
	return s.State == nil && len(s.Members) == 0 && !s.DropJournal && len(s.Verdicts) == 0 && len(s.Records) == 0
}

// Merge adds what is to be saved after s, in the same transaction.
func (s *Save) Merge(next Save) {
	if next.State != nil {
		s.State = next.State
	}
	s.Members = append(s.Members, next.Members...)
	if next.DropJournal { // what was to be appended goes with it
		s.DropJournal, s.Verdicts = true, nil
	}
	s.Verdicts = append(s.Verdicts, next.Verdicts...)
	s.Records = append(s.Records, next.Records...)
}

// Place is a member at its index.
type Place struct {
	Index  uint32
	Member Member
}

// Verdict is one entry of the journal: an update accepted (Reason Counted), the
// first refusal of a member that holds no place, its first conflict, or what
// was accepted before a restart and has been given up (Lost).
type Verdict struct {
	Round   uint64         `json:"round"`
	Attempt uint32         `json:"attempt"` // in which the verdict was given
	Member  string         `json:"member"`
	Index   uint32         `json:"index"`
	Content model.Hash     `json:"content"`
	Samples uint64         `json:"samples"`
	Weight  uint64         `json:"weight"`
	Norm    float64        `json:"norm"`
	Bytes   int64          `json:"bytes"`
	Reason  verdict.Reason `json:"reason"`

	Staleness uint64 `json:"staleness,omitempty"` // the update is of so many rounds before
}

// Accepted is one update to add to the sum with its weight.
type Accepted struct {
	Member  string
	Index   uint32
	Content model.Hash
	Weight  uint64

	Staleness uint64 // versions that it is behind
}

// Commit closes the sum of a round. Params and the order of the attempt are in
// the state saved last.
type Commit struct {
	wire.Stamp
	Work     string
	Base     model.Hash
	Params   Params
	Reason   Close
	Accepted []Accepted // path order; each was in a Fold since the last Restart
	Entries  []Entry    // every member of the cohort, path order
	To       *Released  // of WorkRollback: the version whose model and state count again
}

// Record is an abandoned attempt.
type Record struct {
	wire.Stamp
	Work    string
	Base    model.Hash
	Params  Params
	Reason  Close
	Entries []Entry // every member of the cohort, path order
}

// Entry says what became of one member of a cohort. Content, samples, weight,
// norm and bytes are zero unless an update was accepted or refused.
type Entry struct {
	Member   string
	Index    uint32
	Content  model.Hash
	Samples  uint64
	Weight   uint64
	Norm     float64
	Bytes    int64
	Verdict  verdict.Reason
	Conflict bool   // it also sent other content
	Detail   string // why it declined

	Staleness uint64 // versions that the update was behind
}

// Close is why an attempt ended.
type Close string

// The reasons.
const (
	CloseAll      Close = "all"      // every member is accepted, refused or has declined
	CloseGoal     Close = "goal"     // enough are accepted
	CloseDeadline Close = "deadline" // the time is over
	ClosePause    Close = "pause"    // an operator's pause_now
	CloseStop     Close = "stop"     // an operator's stop
	CloseRollback Close = "rollback" // an operator's rollback
)

// Package record is the public account of a task: one JSON document for every
// round that was committed, abandoned or adopted, each naming the bytes of the
// one before it. docs/spec/record.md numbers the rules.
//
// Start with [Record.Encode] where rounds are run, and with [Decode],
// [VerifySig] and a [Chain] where they are checked. [Sealed.Head] makes the
// short form that stands retained on the task's record topic.
//
// The package never reads a clock, a file or a key store.
package record

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// Names of the documents (RC-1, RC-12).
const (
	SchemaRecord = "fedmq.record.v1"
	SchemaHead   = "fedmq.record-head.v1"
)

// Bounds of what [Decode] and [DecodeHead] read (RC-3, RC-12).
const (
	MaxRecord  = 16 << 20 // bytes
	MaxHead    = 16_000   // bytes, on the topic
	MaxEntries = 1 << 14  // members of a cohort
	MaxMetrics = 256      // names, of the round and of each entry
)

var (
	// ErrMalformed means bytes that are no canonical record or head.
	ErrMalformed = errors.New("record: malformed")
	// ErrUnsigned means that there is no signature to verify.
	ErrUnsigned = errors.New("record: unsigned")
	// ErrSignature means an unknown key, or a signature that does not hold.
	ErrSignature = errors.New("record: bad signature")
	// ErrChain is wrapped by every [*ChainError].
	ErrChain = errors.New("record: the chain is broken")
)

// Verdicts of a record (RC-5).
const (
	Committed = "committed" // the round has a model
	Abandoned = "abandoned" // the attempt has not; the round is opened again
	Adopted   = "adopted"   // an operator took a restored task up again, above what members had seen
)

// WorkRollback is the work of a round that made a former version the newest one (RC-30).
const WorkRollback = "rollback"

// What [Record.Security] says (RC-9).
const (
	Unsigned = "unsigned"
	Signed   = "signed"
)

// IDsTree is [Record.IDs] where content ids are those of [model.ContentOf] (RC-25).
const IDsTree = "tree"

// checkIDs reports a kind of content ids that this version does not know.
func checkIDs(kind string) error {
	if kind != "" && kind != IDsTree {
		return fmt.Errorf("ids %.32q, want %q or none", kind, IDsTree)
	}
	return nil
}

// ContentOf is the content id of bytes, of the kind that the record has.
func (r Record) ContentOf(b []byte) model.Hash {
	if r.IDs == IDsTree {
		return model.ContentOf(b)
	}
	return model.HashOf(b)
}

// Record is one round's account. The order of the fields is the order in the
// document. Every field is always there, but those that say when not.
type Record struct {
	Schema      string     `json:"schema"` // SchemaRecord; set by Encode
	Owner       string     `json:"owner"`  // node that owns the task, with the namespace
	Task        string     `json:"task"`
	Round       uint64     `json:"round"`
	Attempt     uint32     `json:"attempt"`
	Epoch       uint64     `json:"epoch"`
	Verdict     string     `json:"verdict"`            // Committed, Abandoned or Adopted
	Work        string     `json:"work"`               // init, train, evaluate, statistics or rollback
	Prev        model.Hash `json:"prev"`               // of the bytes of the record before
	Base        model.Hash `json:"base"`               // model that the order named
	Model       model.Hash `json:"model"`              // model after the round; none if abandoned
	Version     uint64     `json:"version"`            // of Model: Round; 0 if abandoned
	OrderHash   model.Hash `json:"order"`              // of the order's signed bytes
	Strategy    Strategy   `json:"strategy"`           // how updates were folded
	Entries     Entries    `json:"entries"`            // the cohort, in order of member path
	Metrics     Metrics    `json:"metrics"`            // of Base, pooled over the sites
	BytesUp     int64      `json:"bytes_up"`           // payload bytes from members, >= 0
	BytesDown   int64      `json:"bytes_down"`         // payload bytes to the broker, >= 0
	OpenedMS    int64      `json:"opened_ms"`          // epoch milliseconds, the aggregator's clock
	ClosedMS    int64      `json:"closed_ms"`          // when the accepted set was closed
	CommittedMS int64      `json:"committed_ms"`       // when the model was durable; 0 if abandoned
	Reason      string     `json:"reason"`             // why the attempt ended
	Origin      wire.Nonce `json:"origin,omitzero"`    // of the task, from its beginning on; none in records of before there were origins
	State       model.Hash `json:"state,omitzero"`     // content id of what strategy and server optimiser keep after the round; none for nothing
	Notes       Notes      `json:"notes,omitempty"`    // what the fold says to people; none for nothing
	IDs         string     `json:"ids,omitempty"`      // kind of the content ids: IDsTree; none: plain SHA-256, in records of before there were trees
	Best        *Best      `json:"best,omitempty"`     // of the versions so far; none: nothing was measured, or not committed
	Rollback    *uint64    `json:"rollback,omitempty"` // of work rollback: the version whose model and state count again
	Gate        *Gate      `json:"gate,omitempty"`     // what came of holding Base against the released version; none: nothing was
	Canaries    []Canary   `json:"canaries,omitempty"` // versions that some nodes ran before all, in this round
	Measured
	Coming
	Excluded []string `json:"excluded,omitempty"` // paths that an operator had excluded, none of them of the cohort; ascending
	Settings Settings `json:"settings,omitzero"`  // of training, that were not as the configuration has them: of its schedule, or set by an operator
	Security string   `json:"security"`           // Unsigned or Signed; set by Encode
	Sig      string   `json:"sig,omitempty"`
}

// Strategy is how a train round was folded; zero for other work.
type Strategy struct {
	Name    string `json:"name"`    // such as fedavg
	GridB   int    `json:"grid_b"`  // fold.Grid.B
	GridW   int    `json:"grid_w"`  // fold.Grid.W
	Cap     uint64 `json:"cap"`     // largest weight of one member, samples
	Weights string `json:"weights"` // samples, uniform or sqrt

	Params       Settings   `json:"params,omitzero"`        // of the strategy, all of them; none for one without, and in records of before it had any
	Server       string     `json:"server,omitempty"`       // optimiser; none: sgd with the rate 1
	ServerParams Settings   `json:"server_params,omitzero"` // likewise
	Guard        Values     `json:"guard,omitzero"`         // settings of the guard by their names (F-21); none: there was no guard
	Enrolled     int        `json:"enrolled,omitzero"`      // members of the task when the round was opened, where the strategy goes by that
	Root         model.Hash `json:"root,omitzero"`          // content id of the aggregator's own update, that the strategy held the others against; none for none
	Thresholds   Values     `json:"thresholds,omitzero"`    // that updates were judged by, fixed with the round's first attempt
}

// IsZero reports that nothing was folded by a strategy.
func (s Strategy) IsZero() bool {
	return s.Name == "" && s.GridB == 0 && s.GridW == 0 && s.Cap == 0 && s.Weights == "" && s.Server == "" &&
		s.Enrolled == 0 && s.Params == nil && s.ServerParams == nil && s.Guard == nil && s.Root.IsZero() && s.Thresholds == nil
}

// Entry says what became of one member of the cohort. Fields that say nothing
// are left out of the document.
type Entry struct {
	Member   string         `json:"member"` // path below the namespace
	Index    uint32         `json:"index"`  // durable, from its welcome
	Content  model.Hash     `json:"content,omitzero"`
	Samples  uint64         `json:"samples,omitzero"`
	Weight   uint64         `json:"weight,omitzero"` // of the samples, after the cap
	Norm     Number         `json:"norm,omitzero"`   // L2 over the shared float tensors
	Bytes    int64          `json:"bytes,omitzero"`
	Verdict  verdict.Reason `json:"verdict"`
	Conflict bool           `json:"conflict,omitzero"`  // it also sent other content
	Detail   string         `json:"detail,omitzero"`    // its own words, at most 256 bytes
	Metrics  Values         `json:"metrics,omitzero"`   // of Base on the member's own data
	Scalars  Values         `json:"scalars,omitzero"`   // of its training, that the strategy folds
	Encoding string         `json:"encoding,omitempty"` // of the update, where not dense f32

	// Staleness is how many versions the base of the update was behind that of the round: it
	// was made for the round so many before. Of asynchronous training alone.
	Staleness uint64 `json:"staleness,omitzero"`
}

// Entries are the members of a cohort, sorted by path as bytes.
type Entries []Entry

// Metric is one value judged over all sites.
type Metric struct {
	Value     Number `json:"value"`         // ratio of pooled sums
	Rows      Number `json:"rows,omitzero"` // that it is over: those of the sites that report it
	Sites     int    `json:"sites"`         // that have a value of their own
	Best      Number `json:"best"`
	BestSite  string `json:"best_site"`
	Worst     Number `json:"worst"`
	WorstSite string `json:"worst_site"`
}

// Metrics are the metrics of a round by name.
type Metrics map[string]Metric

// Values are plain numbers by name.
type Values map[string]float64

// Settings are parameters by name, each a float64 or a string.
type Settings map[string]any

// Hash returns the SHA-256 of a record's bytes: the Prev of the next one.
func Hash(b []byte) [32]byte { return sha256.Sum256(b) }

// Trained reports whether the record is of a committed round of training.
func (r Record) Trained() bool { return r.Verdict == Committed && r.Work == wire.WorkTrain }

// Staleness is the most that an update which counts was behind.
func (r Record) Staleness() (most uint64) {
	for _, e := range r.Entries {
		if e.Verdict == verdict.Counted {
			most = max(most, e.Staleness)
		}
	}
	return most
}

// Counts returns how many entries have each verdict.
func (r Record) Counts() map[string]int {
	n := map[string]int{}
	for _, e := range r.Entries {
		n[e.Verdict.String()]++
	}
	return n
}

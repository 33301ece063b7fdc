package strategy

import (
	"errors"

	"github.com/fedmq/fedmq/internal/fold"
	"github.com/fedmq/fedmq/model"
)

// What a fold says of an update that it does not take (rules F-3 to F-5), in
// this order where several hold.
var (
	// ErrNotFinite means a NaN or an infinity among the values.
	ErrNotFinite = fold.ErrNotFinite
	// ErrOutOfRange means a value, weight or number beyond what may be added.
	ErrOutOfRange = fold.ErrOutOfRange
	// ErrFull means that there is no room for the weight; the update is good
	// and may be counted in another round.
	ErrFull = fold.ErrFull
)

var (
	// ErrUnknown means that no strategy, optimiser or encoding has the wanted
	// name, or that nothing is known of a kind of work.
	ErrUnknown = errors.New("strategy: unknown")
	// ErrUnsupported means a model that the strategy cannot average.
	ErrUnsupported = errors.New("strategy: unsupported model")
	// ErrEmpty means a result without any update.
	ErrEmpty = errors.New("strategy: no update to average")
)

// Update is what one member contributes. Check and Add get the same.
type Update struct {
	Index   uint32             // of the member, for good; known when the fold finishes
	Samples uint64             // as the member counts them
	Weight  uint64             // after weighting and cap; 1 where nothing is weighed
	Scalars map[string]float64 // numbers that the strategy asks for; not to be changed
	Tensors *model.Model       // in the fold's schema: local model - base; nil where an update is its numbers alone

	Staleness uint64 // versions between the base that it was trained on and the round's; above 0 in a round that is [Asynchronous]

	// What [Aggregation.Measure] says of the tensors, in a round of training.
	Norm float64 // L2, as they came
	Clip float64 // what they count times, by the guard: above 0, below 1; 0: as they came

	measured bool
	looked   [2]looked // by the guard's tracks
}

// Round is what a strategy knows of the round that it folds: all of it is in
// the order, and in the record.
type Round struct {
	Base         *model.Model // not to be changed
	Root         *model.Model // what the aggregator's own trainer makes of the base, less the base, in what the base shares: of one that is [Rooted]
	GridB, GridW int          // values |x| <= 2^GridB, total weight <= 2^GridW (F-1)
	Enrolled     int          // members of the task when the round was opened
	Carried      []byte       // what Output.Carry said in the last round of training by this strategy; nil in the first
}

// Strategy is one way to combine the updates of rounds of training.
type Strategy interface {
	// Name is what configuration, order and record say.
	Name() string
	// Begin starts an attempt on its base, with nothing in it. Before is what
	// this strategy began last, whose memory may be used again, or nil. Errors
	// say what about the model or the round it cannot take.
	Begin(r Round, before Fold) (Fold, error)
}

// Fold takes the updates of one attempt. It is not used from two goroutines at
// once.
type Fold interface {
	// Schema is that of an update's tensors; empty, an update has none.
	Schema() model.Schema
	// CheckPart is Check for the bytes of an update from offset off on, as they
	// arrive; u has no tensors. It may let pass what Check finds.
	CheckPart(u Update, part []byte, off int) error
	// Check reports an update that cannot be counted, and keeps nothing of it.
	// Errors wrap [ErrNotFinite], [ErrOutOfRange] or [ErrFull].
	Check(u Update) error
	// Add takes an update that has passed Check, its tensors times Clip. Updates come
	// in any order, and the bits must not depend on it. The tensors are not kept.
	Add(u Update)
	// NeedsAll reports that Finish reads the updates: they are kept until then.
	NeedsAll() bool
	// Finish gives the result of what was added to out. All has the updates in
	// byte order of their members' paths, clipped, nil unless the fold NeedsAll.
	Finish(all *Updates, out *Output) error
}

// Tiered is a fold that can take over what others have folded: sums go up a
// tree of aggregators instead of updates (F-8).
type Tiered interface {
	Fold
	// AppendSums appends what was added so far to b.
	AppendSums(b []byte) []byte
	// AddSums adds what AppendSums of another fold of the same round gave.
	// Errors wrap [ErrOutOfRange] or [ErrFull] and change nothing.
	AddSums(b []byte) error
}

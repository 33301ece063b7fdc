package aggregator

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/record"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// task is the disk, the bytes and the views of one task.
type task struct {
	a       *aggregator
	cfg     Task
	log     zerolog.Logger
	topics  topics.Owner
	members []topics.MemberFilter
	m       *owner.Task
	answers []owner.Event // of what was done, for the machine
	state   *round.State  // as last saved

	schema     model.Hash
	mostBody   int          // bytes of an update of any kind of work
	base       *model.Model // of the open round
	blob       wire.Blob    // of the base where it travels in parts
	closed     closed       // the round whose record is to be saved
	plain      bool         // the last record's content ids are plain SHA-256, as of an older fedmq
	untold     []record.Sealed
	published  *publication
	sum        *sum
	remembered map[owner.Key]entry // of updates that were accepted before the restart
	unable     map[string]bool     // members that cannot make the encoding, told once
	keeping    *keeping
	settings   settings // of the open round
	layout     layout
	former     topics.Owner // of the earlier layout that is cleared
	shown      shown        // what the broker retained at the start

	telling
	origin    wire.Nonce             // of the task
	evaluated map[uint64]evaluations // what members measured of the versions that are held, for the gate
	waited    waited
	cut       wire.Stamp // the attempt that goes on with what the end of the last process cut short
	settled   settledCache
	ended     bool // the outcome was reported
	earlyLeft bool // a canary may be on the broker
	withdraws bool // it is being cleared

	statisticsDue bool // what a survey has gathered is to be published
}

// step tells the machine what concerns the task.
func (t *task) step(ev owner.Event) { t.m.Step(t.a.nowMS(), ev) }

// answer has the machine hear what came of something once all that is owed is done.
func (t *task) answer(ev owner.Event) { t.answers = append(t.answers, ev) }

// shown is what the broker retained of a task when the process began, beside the
// highest own order.
type shown struct{ model, head []byte }

// closed is a round whose sum is closed, with its record and the next model.
type closed struct {
	record record.Sealed
	next   *model.Model
	blob   wire.Blob
	state  []byte // what strategy and optimiser keep
}

// settledCache keeps what the records say of the updates of one round, those up to another.
type settledCache struct {
	round   uint64
	until   uint64
	entries map[owner.Key]verdict.Reason
}

// settings are what sites are told to train with. They are frozen with the
// first attempt of a round, so that no update of a round was made by others, and again
// where the round begins again.
type settings struct {
	Round uint64          `json:"round"`
	From  uint32          `json:"from,omitempty"` // that of the round's parameters
	Train json.RawMessage `json:"train"`
	Seed  uint64          `json:"seed"`

	Encoding string `json:"encoding,omitempty"` // of updates; none: dense

	Differ     record.Settings `json:"differ,omitempty"`     // what of Train is not as configured
	Configured json.RawMessage `json:"configured,omitempty"` // Train without that, where something differs
}

// layout bounds the topics for the model that may hold something retained: slot and
// part are below these numbers, and all is below a root of bulk.
type layout struct {
	Slots int    `json:"slots"`
	Parts int    `json:"parts"`
	Bulk  string `json:"bulk,omitempty"`
}

// waited is since when the task waits for the same.
type waited struct {
	why   round.Why
	since int64
}

// aggregator is the driver: one goroutine, run, owns everything but the
// connection and what the carrier has in hand.
type aggregator struct {
	cfg      Config
	log      zerolog.Logger
	ns       topics.Namespace
	self     topics.Owner // of the first task; its State is the node's
	opener   *wire.Opener // of members' messages
	own      *wire.Opener // of the owner's: only its own key
	store    *store.Store
	conn     *link.Conn
	out      *carrier
	machine  *owner.Machine
	staging  *store.Staging
	tasks    map[string]*task
	order    []*task  // configuration order
	holdings holdings // blobs that tasks have a use for
	instance wire.Nonce
	clock    time.Time // start on the wall clock, with a monotonic reading

	begun      bool // the tasks run
	up         bool // the link
	upSince    int64
	connection uint64 // its number
	presence   []byte // published last
}

// nowMS is a clock that does not fall: the wall clock of the start plus the
// monotonic time since.
func (a *aggregator) nowMS() int64 {
	return a.clock.UnixMilli() + a.cfg.Now().Sub(a.clock).Milliseconds()
}

// release gives up a staging place. Closing a file that is not needed any more
// can only fail on a disk that fails, which the next write tells.
func (a *aggregator) release(st *store.Stage) {
	if st == nil {
		return
	}
	if err := st.Release(); err != nil {
		a.log.Error().Err(err).Msg("staging")
	}
}

// Bounds of the driver.
const (
	batch      = 64      // events taken in before the machine's work is done
	maxDecoded = 8 << 20 // or so many bytes of decoded updates
)

// Errors that end Run; they arrive wrapped with task, rounds and epochs.
var (
	ErrFenced = errors.New("aggregator: fenced by another aggregator of this owner")
	ErrBehind = errors.New("aggregator: more has been seen than the data directory knows")
)

// roundConfig is what the machine of rounds is told of the task.
func (t *task) roundConfig() round.Config {
	every, from := int64(0), uint64(0)
	if s := t.cfg.Survey; s != nil {
		every, from = s.Every.Milliseconds(), t.cfg.total()-t.cfg.Rounds+1
	}
	return round.Config{
		Members: t.members, Rounds: t.cfg.total(), Survey: t.cfg.Survey != nil, EveryMS: every, EveryFrom: from, Stop: t.cfg.Stop.rule(), Gate: t.cfg.Release.rule(t.cfg.KeepModels), Statistics: t.cfg.Statistics,
		StartWhen: t.cfg.StartWhen, JoinWaitMS: t.cfg.JoinWait.Milliseconds(),
		Quorum: t.cfg.Quorum, Goal: t.cfg.Goal, DeadlineMS: uint64(t.cfg.Deadline.Milliseconds()), // at least 1 s
		Sample: t.cfg.Sample, Weights: round.Weights(t.cfg.Weights), Cap: t.cfg.Cap, CapFactor: t.cfg.CapFactor, MaxSamples: t.cfg.MaxSamples,
		GridB: t.cfg.GridB, Folding: t.folding(), Base: t.cfg.Init.ContentID(), Schema: t.schema, Rand: t.a.cfg.Rand,
	}
}

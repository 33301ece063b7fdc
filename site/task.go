package site

import (
	"context"
	"sync/atomic"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/trainer"
	"github.com/fedmq/fedmq/wire"
)

// task is one task of the site: its machine, what the driver holds for it, and
// what people are shown of it.
type task struct {
	Task
	owner  topics.Owner
	models topics.Owner    // with those of models where the order in force says
	parts  map[string]bool // topics of parts that are asked for
	member topics.Member
	m      *member.Machine
	wake   ms // of the machine

	latest   *arrived           // a model that came whole, and no order has asked for yet
	held     *held              // the model at hand, if it is in memory
	writing  *writing           // the model whose file is written, nil: none is
	update   outgoing           // that was sealed last, if it goes in parts
	unsaved  change             // what is not durable yet
	saveAt   ms                 // when it is to be, 0: there is nothing
	jots     int                // how many entries were jotted down since the last transaction
	in       incoming           // the model that is received in parts
	result   *result            // of the job that is to be sealed
	fates    []member.Settled   // of updates, that the trainer was not told yet
	control  model.Hash         // of the control variates of this site, zero: they are 0
	joined   link.Message       // the last join
	contract *pipeline.Contract // of the task, as it came with a model; nil: not known
	samples  int
	data     *Data              // what the rows are from, after the last job
	metrics  map[string]float64 // pooled, of the last evaluation here
	odd      []string           // what was wrong with its numbers
	refused  string             // why the last update was refused, until one counts
	note     string             // why the last update travels dense
	untold   bool               // that its contract is too long for a join is logged
	differs  string             // how its contract is refused, as logged last
	begins   bool               // that it has no tensors of its own yet is logged

	released released // for the site itself

	view      member.View
	denied    string // subscriptions that the broker refuses
	trouble   string // what does not arrive, or not leave
	answered  bool   // the aggregator has answered, in this life
	lost      string // nobody is there, in words
	unheard   string // nobody answers, in words
	published ms     // last status
	pace      ms     // when the statuses so far are paid for, at one in progressEvery
	beat      ms     // next status without news
	progress  bool   // there is progress to show
	changed   bool   // there is a phase to show

	tally    tally
	settled  Audited // told last
	welcomed uint64  // epoch of the welcome told last

	feedback    atomic.Pointer[private] // nil: nothing; shared with the job's goroutine, which reads it
	done, total atomic.Int64            // of the trainer's work; shared with the job's goroutine
	caution     atomic.Pointer[string]  // what of the site's rows does not suit the model, nil: nothing; likewise
}

// place says where the task and this member of it are in the namespace.
func (t *task) place(ns topics.Namespace, member string) (err error) {
	if t.owner, err = ns.Owner(t.Owner, t.Name); err != nil {
		return err
	}
	t.models, t.parts = t.owner, map[string]bool{}
	t.member, err = ns.Member(member, t.Name)
	return err
}

// arrived is a verified model in memory.
type arrived struct {
	member.Stored
	model *model.Model
}

// held is a verified model in memory, for the next job. Its file is written beside.
type held struct {
	member.Stored
	model *model.Model
	file  *writing // nil: it has none, or it is there
}

// writing is a model whose file is being written.
type writing struct {
	task *task
	kept *keptModel
	done chan struct{} // closed when it is
	err  error         // then
}

// outgoing is an update in memory, whose parts need not be read from its file.
type outgoing struct {
	content model.Hash
	bytes   []byte
	out     *int // parts of it that the link has, or may have
}

// result is what a job left: tensors and metrics, or the reason why there are
// none.
type result struct {
	id       uint64
	tensors  *model.Model
	leaves   model.Leaves // of its bytes, where they are known
	encoding string       // of its bytes; "": dense
	zstd     bool         // their message may be one zstd frame
	rest     []byte       // what they leave over; nil: it does not count
	basis    left         // what was added
	metrics  trainer.Metrics
	counts   *trainer.Counts // of classes; nil: none
	packed   wire.Counts     // what is sent of them
	samples  int             // training rows
	data     *Data           // that they are from
	scored   bool            // the trainer has evaluated
	odd      []string        // what is wrong with the metrics
	note     string          // why the tensors are not in the encoding that the order wants
	told     string          // of a survey: what the tensors tell, for the log
	reason   string
	detail   string
	stack    []byte // of a panic
	err      error  // the model could not be read back

	own     *model.Model       // tensors that stay here; nil: none
	begins  bool               // there were none yet, though the task has trained before
	scalars map[string]float64 // that the strategy needs
	control bool               // tensors has the change of control variates
	fitted  *fitted            // a model for the site itself; nil: none
}

// assignment is a job of a task, waiting or running.
type assignment struct {
	task   *task
	job    member.Job
	cancel context.CancelFunc
	queued ms
	behind string // task whose trainer it waits for; "": none
	began  ms
	gone   bool // not wanted any more
	own    bool // for the site itself
}

// stop says that the job is not wanted any more.
func (a *assignment) stop() {
	a.gone = true
	if a.cancel != nil { // it runs
		a.cancel()
	}
}

// advance is how far what the phase names has come, of how much; 0 of 0 when that
// is not known.
func (t *task) advance() (done, total int64) {
	n, of := 0, 0
	switch t.view.Phase {
	case PhaseTraining, PhaseEvaluating:
		return t.done.Load(), t.total.Load()
	case PhaseSending:
		n, of = t.m.UploadProgress()
	case PhaseWaiting:
		n, of = t.m.PullProgress()
	}
	return int64(n), int64(of)
}

// complain shows on the status that what the aggregator says does not verify,
// until an order does; once a second at most, as anybody may write garbage.
func (t *task) complain(k topics.Kind, reason string) {
	if text := k.String() + " not accepted: " + reason; t.trouble != text {
		t.trouble, t.progress = text, true
	}
}

// write puts parts of the model that is received in their places.
func (t *task) write(parts []member.Piece) error {
	for _, p := range parts {
		if _, err := t.in.WriteAt(p.Data, p.Off); err != nil {
			return err
		}
		crash.At("model.part-k")
	}
	return nil
}

// dropReceived drops what was received so far of a model.
func (t *task) dropReceived() error {
	if t.in == nil {
		return nil
	}
	in := t.in
	t.in = nil
	return in.Discard()
}

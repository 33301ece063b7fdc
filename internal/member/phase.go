package member

// Phase is what a site is doing in a task, as its status says.
type Phase string

// The phases of a site in a task.
const (
	PhaseIdle       Phase = "idle"       // no order asks for work
	PhaseJoining    Phase = "joining"    // not welcomed yet
	PhaseWaiting    Phase = "waiting"    // nothing to do before the next message
	PhaseTraining   Phase = "training"   // the trainer trains, or computes statistics
	PhaseEvaluating Phase = "evaluating" // the trainer evaluates
	PhaseSending    Phase = "sending"    // an update is not answered yet
	PhaseError      Phase = "error"      // no work, for a reason given
)

// View is the part of a status that the machine knows.
type View struct {
	Phase     Phase
	Round     uint64
	Attempt   uint32
	Message   string
	Error     string
	Heartbeat ms
	Members   int // of the task, at least, as the order tells
	Unheard   Unheard
}

// Unheard is what nobody answers, although it was sent twice, or an attempt has
// ended over it.
type Unheard uint8

// What may not be answered.
const (
	UnheardJoin Unheard = iota + 1
	UnheardUpdate
)

// unheardAfter is after how many sends without an answer that is worth a word: the
// broker may deny them, or the answers, and say nothing (S-44).
const unheardAfter = 2

// answerSoon is how long an answer may be on its way when an attempt ends.
const answerSoon ms = 2_000

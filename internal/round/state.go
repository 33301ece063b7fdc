package round

import (
	"encoding/json"
	"slices"

	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/pipeline"
	"github.com/fedmq/fedmq/wire"
)

// Phase is where the current round is.
type Phase string

// The phases.
const (
	Idle    Phase = "idle"    // waiting for members: the first order, or a quorum that is heard from
	Open    Phase = "open"    // an attempt runs
	Closing Phase = "closing" // Ready.Commit was handed out and is not answered yet
	Waiting Phase = "waiting" // backing off after three abandons in a row
	Halted  Phase = "halted"  // work none: paused, stopped or finished
)

// State is all that must survive a restart beside members and journal. It is
// plain data and goes through JSON without loss.
type State struct {
	Epoch    uint64     `json:"epoch"`
	Instance wire.Nonce `json:"instance"` // of the aggregator's process

	Round   uint64 `json:"round"`   // the next to commit
	Attempt uint32 `json:"attempt"` // of the last order stored in this round; 0: none yet
	Phase   Phase  `json:"phase"`

	Base    model.Hash `json:"base"`    // content id of the current model
	Version uint64     `json:"version"` // number of the round that committed it
	Record  model.Hash `json:"record"`  // hash of that round's record, as Committed gave it

	ValidFrom uint32   `json:"valid_from"`       // updates of earlier attempts have lapsed
	Params    *Params  `json:"params,omitempty"` // nil until the round's first attempt
	Order     *Order   `json:"order,omitempty"`  // the last stored, nil before the first
	Cohort    []uint32 `json:"cohort,omitempty"` // indices in path order, of the round's last attempt with work

	Abandons        int `json:"abandons"`         // in a row
	RefusalAbandons int `json:"refusal_abandons"` // since the last commit, for refusals

	Vain bool `json:"vain,omitempty"` // the last attempt was abandoned, and some declined it or all of it lapsed

	PauseAsked bool   `json:"pause_asked"` // to take effect when the attempt ends
	StopAsked  bool   `json:"stop_asked"`  // likewise, while a commit is under way
	StartAsked bool   `json:"start_asked"` // do not wait for StartWhen, the quorum is enough
	Paused     bool   `json:"paused"`
	Pause      string `json:"pause,omitempty"` // id of the newest pause that is asked for or in force
	Stopped    bool   `json:"stopped"`
	Finished   bool   `json:"finished"`
	Reason     string `json:"reason,omitempty"` // why it is stopped

	NotBefore int64 `json:"not_before,omitempty"` // when the next round of a survey may open, in ms

	Trained uint64 `json:"trained,omitempty"` // committed rounds of training
	Worked  string `json:"worked,omitempty"`  // what the round committed last was for
	Best    *Best  `json:"best,omitempty"`    // nil: no model was measured
	Stale   int    `json:"stale,omitempty"`   // models measured since the best one, none of them better
	Enough  bool   `json:"enough,omitempty"`  // so many that training ends

	Released *Released      `json:"released,omitempty"` // nil: no version
	Row      *Candidate     `json:"row,omitempty"`      // the best of the evaluations that have passed the gate in a row
	Ready    *Candidate     `json:"ready,omitempty"`    // one that has held, for an operator to release
	Passed   []uint64       `json:"passed,omitempty"`   // versions whose row has held, newer than what is released, oldest first; never changed in place
	InRow    []uint64       `json:"in_row,omitempty"`   // those of the row that has not held yet; never changed in place
	Canary   *Canary        `json:"canary,omitempty"`   // a version that some nodes run first
	Canaries []CanaryEnd    `json:"canaries,omitempty"` // that have ended, the newest last; never changed in place
	Rollback *Released      `json:"rollback,omitempty"` // a former version that is to count again, until it does
	Rolled   uint64         `json:"rolled,omitempty"`   // the round of the last rollback
	Excluded []string       `json:"excluded,omitempty"` // paths that an operator has excluded, sorted; never changed in place
	Set      map[string]any `json:"set,omitempty"`      // settings of training that an operator has set; never changed in place

	Past  []Past `json:"past,omitempty"`  // the rounds whose updates may count yet, oldest first; never changed in place
	Since uint64 `json:"since,omitempty"` // from which round on all training was asynchronous; 0: the last was not
	Late  uint64 `json:"late,omitempty"`  // the most versions that an update of the task could ever be behind

	Contract *Agreed  `json:"contract,omitempty"` // what all members mean by the model; nil: not known
	Stays    []string `json:"stays,omitempty"`    // tensors that each member keeps for itself, as the configuration has them; never changed in place

	Commands []string `json:"commands,omitempty"` // the last 1,000 ids, oldest first
}

// Agreed is the contract of a task, and whose it was: a member's path, "" for the
// configuration's. It is not changed.
type Agreed struct {
	*pipeline.Contract `json:"contract"`
	From               string `json:"from,omitempty"`
}

// First is the state of a task that never ran.
func (c Config) First() *State { return &State{Round: 1, Phase: Idle, Base: c.Base, ValidFrom: 1} }

// Params is what every attempt of one round shares, until it begins again.
type Params struct {
	Work      string  `json:"work"`
	Weights   Weights `json:"weights"`
	GridB     int     `json:"grid_b"` // 0 unless Work is train, and so the next three
	GridW     int     `json:"grid_w"`
	Cap       uint64  `json:"cap"`
	Allowance uint64  `json:"allowance"` // most members in a cohort of this round

	From uint32 `json:"from,omitempty"` // attempt with which they were fixed; 0: by a version that did not say

	Folding
	Enrolled int `json:"enrolled,omitempty"` // members of the task, where the strategy goes by that
}

// Folding is how the updates of a round of training become a model. The machine only
// keeps it, and says what of it sites are to know. Parameters are float64 or string, and
// not changed.
type Folding struct {
	Strategy       string             `json:"strategy,omitempty"`
	StrategyParams map[string]any     `json:"strategy_params,omitempty"`
	Server         string             `json:"server,omitempty"`
	ServerParams   map[string]any     `json:"server_params,omitempty"`
	Local          *wire.Local        `json:"local,omitempty"` // what the strategy needs of local training, nil: nothing; not changed
	Guard          map[string]float64 `json:"guard,omitempty"` // its settings
	Thresholds     map[string]float64 `json:"thresholds,omitempty"`
	Late           uint64             `json:"late,omitempty"`   // versions that an update may be behind; above 0 training is asynchronous
	Buffer         int                `json:"buffer,omitempty"` // accepted updates that close the round; 0: the goal
}

// told is what an order says of it: nothing for federated averaging, which is meant
// without a word (W-45).
func (f Folding) told() *wire.OrderStrategy {
	if f.Strategy == "" || f.Strategy == averaging && len(f.StrategyParams) == 0 {
		return nil
	}
	s := &wire.OrderStrategy{Name: f.Strategy}
	if len(f.StrategyParams) > 0 {
		s.Params, _ = json.Marshal(f.StrategyParams) // numbers that are finite, and texts
	}
	return s
}

// averaging is the strategy that an order without one means.
const averaging = "fedavg"

// Member is one path that was welcomed. Its index is its place among the
// members, for good.
type Member struct {
	Path        string       `json:"path"`
	Samples     uint64       `json:"samples"` // as its last join announced
	Schema      model.Hash   `json:"schema"`
	Instance    wire.Nonce   `json:"instance"`
	Counter     uint64       `json:"counter"` // of its last join
	Digest      model.Hash   `json:"digest"`  // of its last join's bytes
	FromRound   uint64       `json:"from_round"`
	FromAttempt uint32       `json:"from_attempt"` // the first order that it may be in
	Heard       bool         `json:"-"`            // since the current order was stored; not saved
	Silent      int          `json:"silent"`       // attempts in a row that asked it and heard nothing
	Left        bool         `json:"left"`
	Superseded  []wire.Nonce `json:"superseded,omitempty"`   // its former instances, oldest first
	Disk        wire.Nonce   `json:"disk,omitzero"`          // of its process: who starts again on it is the same
	Host        string       `json:"host,omitempty"`         // where that runs
	Counted     bool         `json:"counted,omitempty"`      // an update of it is in a model
	LastCounted uint64       `json:"last_counted,omitempty"` // the round for which that was made which counted last, of asynchronous training
	AtMS        int64        `json:"-"`                      // when the process was last heard from; a start forgets it
}

// Contest is a member that a second process claims.
type Contest struct {
	Member  string
	SinceMS int64     // when the second one came first
	Hosts   [2]string // of the process that speaks for the member, and of the one that waits

	lastMS, toldMS int64
}

// Stamp is that of the open attempt, or of the last order.
func (s *State) Stamp() wire.Stamp {
	return wire.Stamp{Epoch: s.Epoch, Round: s.Round, Attempt: s.Attempt}
}

// clone returns a copy that shares nothing with s that Step changes.
func (s *State) clone() *State {
	c := *s
	if s.Params != nil {
		p := *s.Params
		c.Params = &p
	}
	if s.Order != nil {
		o := *s.Order
		c.Order = &o
	}
	c.Cohort = slices.Clone(s.Cohort)
	c.Commands = slices.Clone(s.Commands)
	return &c
}

// clone returns a copy that shares nothing with m that Step changes.
func (m Member) clone() Member {
	m.Superseded = slices.Clone(m.Superseded)
	return m
}

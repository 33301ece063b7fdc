// Package view is the JSON that an aggregator publishes for people: one type for
// each kind of topic, with the words of the machine in it. The aggregator fills
// them in, commands and watchers read them; docs/ref/schema is made of them.
//
// What a site publishes is in package site, the head of a record in package
// record, a command in package aggregator.
package view

import (
	"encoding/json"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// The values of the member "schema"; a KPI has none.
const (
	StateSchema   = "fedmq.state.v1"
	RoundSchema   = "fedmq.round.v1"
	EventSchema   = "fedmq.event.v1"
	HistorySchema = "fedmq.history.v1"
	ModelAtSchema = "fedmq.model_at.v1"

	ConsumerSchema = "fedmq.consumer.v1" // of a status
)

// State is the presence of a node (Sparkplug's STATE pattern).
type State struct {
	Schema      string   `json:"schema"`
	TimestampMS int64    `json:"timestamp_ms"`
	Online      bool     `json:"online"`
	Roles       []string `json:"roles"`
	Tasks       []string `json:"tasks"`
	Instance    string   `json:"instance"`
	Broker      string   `json:"broker,omitempty"`       // the address in use, of a cluster
	ConnectedMS int64    `json:"connected_ms,omitempty"` // since when it listens without a break; not in the Last Will
	Agent       string   `json:"agent"`
	Security    string   `json:"security"`
	InsecureTLS bool     `json:"insecure_tls,omitempty"`
}

// Round is the current round.
type Round struct {
	Schema      string           `json:"schema"`
	TimestampMS int64            `json:"timestamp_ms"`
	Task        string           `json:"task"`
	Origin      wire.Nonce       `json:"origin"` // of the task: what a command names
	Epoch       uint64           `json:"epoch"`
	Round       uint64           `json:"round"`
	Attempt     uint32           `json:"attempt"`
	Phase       round.Phase      `json:"phase"`
	Work        string           `json:"work"`
	TrainRounds uint64           `json:"train_rounds"`
	Reason      string           `json:"reason,omitempty"`
	Pause       string           `json:"pause,omitempty"`     // id of the pause that is asked for or in force: what a resume names
	Version     uint64           `json:"version"`             // of the base model
	Model       string           `json:"model"`               // its content id
	Best        *round.Best      `json:"best,omitempty"`      // of the versions that were measured; none: no site measures
	Released    *round.Released  `json:"released,omitempty"`  // the version that is approved for the lines; none: no version
	Candidate   *round.Candidate `json:"candidate,omitempty"` // one that has passed the gate, for an operator to release
	Canary      *round.Canary    `json:"canary,omitempty"`    // a version that some nodes run first
	Members     int              `json:"members"`             // welcomed
	Cohort      int              `json:"cohort"`
	Accepted    int              `json:"accepted"`
	WaitingFor  []string         `json:"waiting_for"`         // the first of them
	Waiting     *round.Wait      `json:"waiting,omitempty"`   // what for, who, since when, and what helps
	Away        []round.Away     `json:"away,omitempty"`      // who is not asked, since it left or was silent; the first of them
	Contested   []Contest        `json:"contested,omitempty"` // the first of them
	Uploads     *Uploads         `json:"uploads,omitempty"`
	Contract    *Contract        `json:"contract,omitempty"` // what all sites mean by the model; none: no site has told
	Quorum      int              `json:"quorum"`
	OpenedMS    int64            `json:"opened_ms"`
	DeadlineMS  uint64           `json:"deadline_ms"` // duration
	Last        Summary          `json:"last"`
	Refusals    map[string]int   `json:"refusals,omitempty"` // unauthenticated, since the start
	Asked       int              `json:"asked,omitempty"`    // questions of fedmq doctor that were answered, since the start
	Security    string           `json:"security"`

	Canaries []round.CanaryEnd `json:"canaries,omitempty"` // that have ended, the newest last
}

// Contract is what all sites of a task mean by its model.
type Contract struct {
	Hash    model.Hash `json:"hash"`
	From    string     `json:"from,omitempty"` // whose it was; none: the configuration's
	Inputs  int        `json:"inputs"`         // how many
	Names   []string   `json:"names"`          // of the first of them
	Target  string     `json:"target"`
	Classes []string   `json:"classes,omitempty"`
}

// Contest is a member that two processes claim.
type Contest struct {
	Member  string    `json:"member"`
	SinceMS int64     `json:"since_ms"`
	Hosts   [2]string `json:"hosts"` // of the process that speaks for it, and of the one that waits
}

// Uploads is the updates that come in parts just now.
type Uploads struct {
	Running  int      `json:"running"`
	Waiting  int      `json:"waiting"`
	Received int64    `json:"received_bytes"`
	Total    int64    `json:"total_bytes"`
	Members  []Upload `json:"members"` // the first of them
}

// Upload is one of them.
type Upload struct {
	Member   string `json:"member"`
	Received int64  `json:"received_bytes"`
	Total    int64  `json:"total_bytes"`
}

// Summary is what is shown of the last record.
type Summary struct {
	Round   uint64             `json:"round"`
	Attempt uint32             `json:"attempt"`
	Work    string             `json:"work"`
	Verdict string             `json:"verdict"`
	Reason  string             `json:"reason"`
	Counted int                `json:"counted"`
	Kept    int                `json:"kept,omitempty"` // accepted in an attempt that came to nothing, for the next one
	Members int                `json:"members"`
	Seconds float64            `json:"seconds"`
	Metrics map[string]float64 `json:"metrics,omitempty"` // of the round's base
	Shown   string             `json:"shown,omitempty"`   // the metric that is shown first
	Guess   map[string]float64 `json:"guess,omitempty"`   // what the best constant guess has
	Remarks []string           `json:"remarks,omitempty"` // what these numbers do not show
}

// KPI is one number on its own topic, in the form that UNS tools expect.
type KPI struct {
	TimestampMS int64   `json:"timestamp_ms"`
	Value       float64 `json:"value"`
}

// Event is one fact.
type Event struct {
	Schema      string         `json:"schema"`
	TimestampMS int64          `json:"timestamp_ms"`
	Event       round.FactKind `json:"event"`
	Round       uint64         `json:"round"`
	Attempt     uint32         `json:"attempt"`
	Work        string         `json:"work,omitempty"`
	Member      string         `json:"member,omitempty"` // of a command its id
	Content     string         `json:"content,omitempty"`
	Reason      string         `json:"reason,omitempty"`
	Detail      string         `json:"detail,omitempty"`
	Count       int            `json:"count,omitempty"`
}

// EventSummary is the Event of Counts.
const EventSummary = "summary"

// Counts sums up a second of facts of a large federation.
type Counts struct {
	Schema      string                 `json:"schema"`
	TimestampMS int64                  `json:"timestamp_ms"`
	Event       string                 `json:"event"`
	Round       uint64                 `json:"round"`
	Attempt     uint32                 `json:"attempt"`
	Counts      map[round.FactKind]int `json:"counts"`
}

// History is the course of a task in columns, one place for each round.
type History struct {
	Schema      string                `json:"schema"`
	TimestampMS int64                 `json:"timestamp_ms"`
	Task        string                `json:"task"`
	Rounds      []uint64              `json:"rounds"` // committed; of a long task some, evenly, and the last
	Attempts    []uint32              `json:"attempts"`
	Works       []string              `json:"works"`
	Counted     []int                 `json:"counted"` // members in the sum
	Members     []int                 `json:"members"` // in the cohort
	Seconds     []float64             `json:"seconds"` // from the order to the record
	Metrics     map[string][]*float64 `json:"metrics"` // of the model that the round began with; null where there is none
}

// ModelAt says where the newest model is. The machinery takes that from the order, and
// proves what it finds there by what is signed.
type ModelAt struct {
	Schema      string     `json:"schema"`
	TimestampMS int64      `json:"timestamp_ms"`
	Topic       string     `json:"topic"`   // of the model, or of its manifest; its parts are below it
	Version     uint64     `json:"version"` // the round that committed it
	Content     model.Hash `json:"content"` // its content id
	Bytes       int        `json:"bytes"`   // of its tensors
}

// Consumer is the status of a node that uses what is released.
type Consumer struct {
	Schema      string   `json:"schema"`
	TimestampMS int64    `json:"timestamp_ms"`
	Version     *uint64  `json:"version,omitempty"` // that it runs; none: none yet
	Content     string   `json:"content,omitempty"` // its content id
	From        string   `json:"from,omitempty"`    // the topic that it came from: released or canary
	SinceMS     int64    `json:"since_ms,omitempty"`
	Tries       *Attempt `json:"tries,omitempty"`  // a version that it is about to take: its command runs
	Failed      *Failure `json:"failed,omitempty"` // a version that it could not take: it runs the one before
}

// Attempt is a version that is being taken.
type Attempt struct {
	Version uint64 `json:"version"`
	From    string `json:"from"`     // the topic that it came from
	SinceMS int64  `json:"since_ms"` // when the command began
}

// Failure is a version that could not be taken.
type Failure struct {
	Version     uint64 `json:"version"`
	From        string `json:"from"`               // the topic that it came from
	BeganMS     int64  `json:"began_ms,omitempty"` // of the canary that it was
	Why         string `json:"why"`
	TimestampMS int64  `json:"timestamp_ms"`
	Times       int    `json:"times"` // that it was tried
}

// JSON marshals a view; the types of this package cannot fail.
func JSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

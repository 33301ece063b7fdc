package topics

import "slices"

// Kind says what a topic is for; String is the topic's leaf.
type Kind uint8

// The kinds of topic (T-6). The zero Kind is none of them.
const (
	State        Kind = iota + 1 // presence of a node, its Last Will
	Roster                       // who may speak, with keys
	RosterPart                   // a part of the roster
	Round                        // view of the current round
	KPI                          // one number for the historian
	Event                        // one fact
	Record                       // head of the last round's record
	History                      // the course of the task's numbers
	Statistics                   // what a task of statistics has gathered
	Order                        // the current order
	Model                        // the global model, inline or its manifest
	ModelAt                      // where the model is, for people
	ModelPart                    // a part of the global model
	Released                     // the version approved for the lines
	ReleasedPart                 // a part of the released version
	Canary                       // a version that some nodes run before it is released
	CanaryPart                   // a part of it
	Reply                        // an answer to one member
	Receipts                     // bitmap of accepted members
	SecAgg                       // a phase of secure aggregation, of owner or member
	SecAggPart                   // a part of an owner's phase
	Command                      // an operator's command
	Status                       // phase and progress of a site
	Join                         // a site takes part
	Update                       // a site's update, its offer, or its decline
	Part                         // a granted part of an update
	Need                         // model parts a site could not get
)

const (
	leafState  = "state"
	leafRoster = "roster"
)

// form says how the levels after the task (or the marker) look.
type form uint8

const (
	plain    form = iota // the leaf alone
	parts                // leaf/<slot>/<part>
	named                // kpi/<name>
	replying             // reply/<member path>
	phased               // secagg/<phase>, secagg/inbox/<member path>
	phasedIn             // secagg/<phase>/<slot>/<part>
)

type kindInfo struct {
	leaf     string
	form     form
	taskless bool // sits directly below the marker
	member   bool // written by a member: needs a path
	bulk     bool // as large as a model: may be below a root of bulk
	json     bool
	retained bool
}

var kinds = [...]kindInfo{
	State:        {leaf: leafState, taskless: true, json: true, retained: true},
	Roster:       {leaf: leafRoster, taskless: true, retained: true},
	RosterPart:   {leaf: leafRoster, form: parts, taskless: true, retained: true},
	Round:        {leaf: "round", json: true, retained: true},
	KPI:          {leaf: "kpi", form: named, json: true, retained: true},
	Event:        {leaf: "event", json: true},
	Record:       {leaf: "record", json: true, retained: true},
	History:      {leaf: "history", json: true, retained: true},
	Statistics:   {leaf: "statistics", json: true, retained: true},
	Order:        {leaf: "order", retained: true},
	Model:        {leaf: "model", bulk: true, retained: true},
	ModelAt:      {leaf: "model_at", json: true, retained: true},
	ModelPart:    {leaf: "model", form: parts, bulk: true, retained: true},
	Released:     {leaf: "released", bulk: true, retained: true},
	ReleasedPart: {leaf: "released", form: parts, bulk: true, retained: true},
	Canary:       {leaf: "canary", bulk: true, retained: true},
	CanaryPart:   {leaf: "canary", form: parts, bulk: true, retained: true},
	Reply:        {leaf: "reply", form: replying},
	Receipts:     {leaf: "receipts"},
	SecAgg:       {leaf: "secagg", form: phased}, // an owner's phase is retained for the round
	SecAggPart:   {leaf: "secagg", form: phasedIn, retained: true},
	Command:      {leaf: "command", json: true},
	Status:       {leaf: "status", member: true, json: true, retained: true},
	Join:         {leaf: "join", member: true},
	Update:       {leaf: "update", member: true, bulk: true},
	Part:         {leaf: "part", member: true, bulk: true},
	Need:         {leaf: "need", member: true},
}

func (k Kind) info() kindInfo {
	if int(k) >= len(kinds) {
		return kindInfo{}
	}
	return kinds[k]
}

// String returns the leaf ("order"; "model" for a model and for its parts),
// or "" for a Kind that is none.
func (k Kind) String() string { return k.info().leaf }

// JSON reports whether people read this topic: it carries JSON, all others
// msgpack (T-9).
func (k Kind) JSON() bool { return k.info().json }

// Bulk reports whether topics of this kind may be below a root of bulk (T-21).
func (k Kind) Bulk() bool { return k.info().bulk }

// Retained reports whether messages of this kind are published retained. An
// owner's SecAgg phases are too, a member's are not; Retained says false.
func (k Kind) Retained() bool { return k.info().retained }

// OfMember reports whether only a member writes this kind. State and SecAgg
// are written by owners and by members; OfMember says false.
func (k Kind) OfMember() bool { return k.info().member }

// Phases of secure aggregation: an owner's (inbox is followed by a member
// path) and a member's (T-10).
var (
	ownerPhases  = [...]string{"peers", "survivors", "acks"}
	memberPhases = [...]string{"keys", "shares", "ack", "unmask", "complaint"}
)

const phaseInbox = "inbox"

func ownerPhase(s string) bool { return slices.Contains(ownerPhases[:], s) }

func memberPhase(s string) bool { return slices.Contains(memberPhases[:], s) }

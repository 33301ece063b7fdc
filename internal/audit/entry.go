package audit

import "time"

// Event is what a line is about.
type Event string

// The events. The fields that each uses stand in docs/howto/audit.md.
const (
	Start   Event = "start"   // of the process
	Stop    Event = "stop"    // of the process, as it should
	Goes    Event = "goes_on" // of the file before, which was renamed; SHA256 is that of its last line
	Lost    Event = "lost"    // Count lines could not be written, because the disk refused them for long
	Refused Event = "refused" // messages that nobody is proven to have sent, or that a site does not believe; Count of them

	Joined     Event = "joined"     // aggregator: a member was taken in; site: it was welcomed
	Superseded Event = "superseded" // a newer process speaks for the member
	Contested  Event = "contested"  // two processes speak for the member
	Left       Event = "left"       // a member went offline

	Command   Event = "command"   // of an operator, and what came of it
	Opened    Event = "opened"    // an attempt of a round
	Accepted  Event = "accepted"  // an update
	Rejected  Event = "rejected"  // an update or a join of a known sender
	Declined  Event = "declined"  // a site sends no update
	Round     Event = "round"     // an attempt ended, and has a record
	Halted    Event = "halted"    // paused, stopped, finished
	Published Event = "published" // a version of the model is on the broker

	Model   Event = "model"   // site: a model was received and verified
	Update  Event = "update"  // site: an update was made of the local rows, and waits to be sent
	Sent    Event = "sent"    // site: the broker has it, or its offer
	Settled Event = "settled" // site: what the aggregator says became of it
)

// Entry is one line. Fields that do not apply are left out.
type Entry struct {
	Time  time.Time `json:"time"` // set by Log.Write
	Event Event     `json:"event"`
	Node  string    `json:"node"` // whose log this is; set by Log.Write

	Task    string `json:"task,omitempty"`
	Epoch   uint64 `json:"epoch,omitempty"`
	Round   uint64 `json:"round,omitempty"`
	Attempt uint32 `json:"attempt,omitempty"`
	Work    string `json:"work,omitempty"`

	Member   string `json:"member,omitempty"`   // path below the namespace
	Operator string `json:"operator,omitempty"` // node that the operator's key speaks for, with the namespace
	Key      string `json:"key,omitempty"`      // id of the key that signed, hex
	ID       string `json:"id,omitempty"`       // of a command
	Command  string `json:"command,omitempty"`

	Outcome string `json:"outcome,omitempty"` // done, refused..., committed, abandoned, adopted
	Reason  string `json:"reason,omitempty"`  // of the protocol's list
	Detail  string `json:"detail,omitempty"`
	Topic   string `json:"topic,omitempty"`
	Count   int    `json:"count,omitempty"`

	Version *uint64 `json:"version,omitempty"` // of the model
	Model   string  `json:"model,omitempty"`   // content id
	Content string  `json:"content,omitempty"` // content id of an update
	Record  string  `json:"record,omitempty"`  // SHA-256 of the record's bytes
	Rows    uint64  `json:"rows,omitempty"`    // training rows of an update
	Bytes   int64   `json:"bytes,omitempty"`   // of tensors

	Program  string `json:"program,omitempty"`  // name and version
	Config   string `json:"config,omitempty"`   // file
	SHA256   string `json:"sha256,omitempty"`   // of the configuration file's bytes; of a line without its line feed
	Security string `json:"security,omitempty"` // signed or unsigned
}

package broker

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"
)

// Reason is why a broker refused something. The list is closed: it is the label
// of fedmq_broker_refused_total and the member "reason" of the log's lines.
type Reason uint8

// The reasons, each with what becomes of it.
const (
	ReasonCredentials    Reason = iota + 1 // no user is let in with these; not let in
	ReasonClientID                         // neither the user name nor it and a colon; not let in
	ReasonWill                             // Last Will elsewhere than the own presence; not let in
	ReasonLogins                           // too many logins of that user from that address wait; not let in
	ReasonAddress                          // more connections from one address than per_address; closed
	ReasonConnecting                       // more connections that are not let in yet than connecting; the oldest is closed
	ReasonConnections                      // more connections than may be; not let in
	ReasonUser                             // more connections of one user, or with one client id, than may be; not let in
	ReasonTopic                            // publish outside of the access list
	ReasonFilter                           // subscription outside of the access list
	ReasonTopicLength                      // topic or filter of more than 1 KiB, or 32 levels
	ReasonSubscriptions                    // more subscriptions of one user than may be; closed
	ReasonRetainedBytes                    // retained message beyond the user's bytes
	ReasonRetainedTopics                   // retained message beyond the user's topics
	ReasonSessions                         // more sessions than may be: the oldest goes
	ReasonQueued                           // more bytes wait in sessions than may: the oldest goes
	ReasonMalformed                        // bytes that are no MQTT, or a packet larger than may be; closed
	ReasonSlow                             // a client that took too little of what it asked for; closed
	ReasonPanic                            // the broker's library panicked for a client; closed
	reasonEnd
)

var reasonNames = [reasonEnd]string{
	ReasonCredentials: "credentials", ReasonClientID: "client_id", ReasonWill: "will", ReasonLogins: "logins",
	ReasonAddress: "address", ReasonConnecting: "connecting", ReasonConnections: "connections", ReasonUser: "user",
	ReasonTopic: "topic", ReasonFilter: "filter", ReasonTopicLength: "topic_length", ReasonSubscriptions: "subscriptions",
	ReasonRetainedBytes: "retained_bytes", ReasonRetainedTopics: "retained_topics",
	ReasonSessions: "sessions", ReasonQueued: "queued",
	ReasonMalformed: "malformed", ReasonSlow: "slow", ReasonPanic: "panic",
}

// String returns the reason's word.
func (r Reason) String() string {
	if r == 0 || r >= reasonEnd {
		return fmt.Sprintf("reason(%d)", uint8(r))
	}
	return reasonNames[r]
}

// Reasons lists all reasons.
func Reasons() []Reason {
	all := make([]Reason, 0, reasonEnd-1)
	for r := Reason(1); r < reasonEnd; r++ {
		all = append(all, r)
	}
	return all
}

// refuse counts what was refused to somebody at remote and says so, once a
// second for a reason and address.
func (h *hook) refuse(r Reason, remote, msg string, fill func(*zerolog.Event)) {
	h.tally.refused[r].Add(1)
	h.lines.say(h.log.Warn(), r.String(), remote, time.Now(), func(e *zerolog.Event) {
		e.Stringer("reason", r).Str("remote", remote)
		fill(e)
		e.Msg(msg)
	})
}

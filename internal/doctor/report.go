package doctor

import (
	"fmt"

	"github.com/fedmq/fedmq/topics"
)

// Schema names the form of a Report as JSON.
const Schema = "fedmq.doctor.v1"

// Report is what was measured, and what follows from it.
type Report struct {
	Schema  string   `json:"schema"`
	Broker  string   `json:"broker"`
	Node    string   `json:"node"`
	Seconds float64  `json:"seconds"`
	Skipped []string `json:"skipped,omitempty"` // steps for which no time was left

	Announced Announced `json:"announced"`

	Names []string `json:"names"` // what names must not have: ".", "*", "blanks"

	Historian string `json:"historian"` // whether somebody is subscribed to all below the namespace: "yes", "no", "not told"

	RoundTripMS float64 `json:"round_trip_ms"` // one small message, there and back

	InARowMS float64 `json:"in_a_row_ms"` // of two small messages, how much later the second comes

	PacketBytes   int  `json:"packet_bytes"`    // largest PUBLISH that came through
	PacketAtLeast bool `json:"packet_at_least"` // larger ones were not tried
	PacketSlow    bool `json:"packet_slow"`     // because this one took more than 5 s

	Retained    Retained `json:"retained"`
	LiveFlag    bool     `json:"live_flag"`              // a live message came with the retain flag
	RestartKept *int     `json:"restart_kept,omitempty"` // of 8 retained messages, after a restart

	Will         bool `json:"will"`
	WillRetained bool `json:"will_retained"`

	Order Tally `json:"order"` // to a subscriber that keeps up
	Queue Tally `json:"queue"` // to one that does not

	Session bool   `json:"session"`
	Shared  bool   `json:"shared"`
	QoS2    bool   `json:"qos2"`
	Access  Access `json:"access"`

	Advice Advice `json:"advice"`
}

// Retained is what came back of retained messages.
type Retained struct {
	Of         int  `json:"of"` // parts of PartBytes, asked for by exact topic
	PartBytes  int  `json:"part_bytes"`
	QoS0       int  `json:"qos0"`
	QoS1       int  `json:"qos1"`
	Flag       bool `json:"flag"`     // they bore the retain flag
	Bytes      int  `json:"bytes"`    // largest packet that was kept
	AtLeast    bool `json:"at_least"` // larger ones are no packets
	Wildcard   int  `json:"wildcard"` // small ones that came through a wildcard
	WildcardOf int  `json:"wildcard_of"`
}

// Kept tells whether retained messages are kept at all.
func (r Retained) Kept() bool { return r.QoS0+r.QoS1 > 0 }

// Tally compares what arrived with what was sent.
type Tally struct {
	Of      int `json:"of"`
	Acked   int `json:"acked,omitempty"` // queue: acknowledged to the publisher
	Arrived int `json:"arrived"`
	Twice   int `json:"twice"`
	Late    int `json:"late"` // after a message that was sent after them
}

// Access is what an access list let through.
type Access struct {
	Write    Verdict `json:"write"`    // to a topic beside the own node
	Wildcard Verdict `json:"wildcard"` // reading other nodes through a wildcard
	Will     Verdict `json:"will"`     // a Will on a topic beside the own node
}

// Advice is what to set.
type Advice struct {
	Usable   bool     `json:"usable"`
	PartSize int      `json:"part_size"` // bytes
	Problems []string `json:"problems"`  // why it is not usable
	Notes    []string `json:"notes"`
}

const (
	defaultPart = 126 << 10
	leastPart   = 4 << 10
	partStep    = 256
	leastQueue  = 320 // 256 parts in flight to the aggregator, and what else is on its way
)

// partSize is the largest payload, up to the default part size, whose packet
// has at most packet bytes; topic is the length of the longest topic.
func partSize(packet, topic int) int {
	n := packet - overhead - topic
	if n >= defaultPart {
		return defaultPart
	}
	return max(n-n%partStep, 0)
}

// advise fills in Advice.
func (r *Report) advise(topic int) {
	a := &r.Advice
	a.Problems, a.Notes = []string{}, []string{}
	smallest := r.PacketBytes
	if r.Retained.Bytes > 0 {
		smallest = min(smallest, r.Retained.Bytes)
	}
	a.PartSize = partSize(smallest, topic)
	a.problems(r)
	a.notes(r)
	a.Usable = len(a.Problems) == 0
}

func (a *Advice) problems(r *Report) {
	bad := func(format string, args ...any) { a.Problems = append(a.Problems, fmt.Sprintf(format, args...)) }
	a.Problems = append(a.Problems, r.Announced.problems()...)
	switch {
	case r.PacketBytes == 0:
		bad("no packet of 4 KiB comes through: raise the broker's packet limit")
		return
	case a.PartSize < leastPart:
		bad("part_size would be %d, the least is %d: raise the broker's packet limit to %d bytes", a.PartSize, leastPart, leastPart+topics.MaxNode*3)
	}
	if r.Retained.Of > 0 && !r.Retained.Kept() {
		bad("retained messages are not given back: switch them on, for %s at least", "<namespace>/#")
	}
}

func (a *Advice) notes(r *Report) {
	note := func(when bool, format string, args ...any) {
		if when {
			a.Notes = append(a.Notes, fmt.Sprintf(format, args...))
		}
	}
	note(r.Historian == readsAll, "somebody is subscribed to all below the namespace, and is sent every update and every model: with N sites, N + 1 times the model in each round. "+
		"bulk, a key of aggregator and sites, puts these elsewhere")
	note(r.holdsBack(), "of two small messages in a row the second comes %.0f ms later: the broker waits for TCP to be told of the first (Nagle's algorithm), some 10 to 40 ms a round. "+
		"Mosquitto: set_tcp_nodelay true", r.InARowMS)
	note(r.PacketSlow, "a packet of %d bytes took more than 5 s: the link is slow, larger ones were not tried", r.PacketBytes)
	note(a.PartSize < defaultPart && a.PartSize > 0, "set part_size: %d, the default is %d; or raise the broker's packet limit", a.PartSize, defaultPart)
	note(r.Retained.Kept() && r.Retained.QoS0 < r.Retained.Of, "retained parts at QoS 0: %d of %d came; sites ask again at QoS 1", r.Retained.QoS0, r.Retained.Of)
	note(r.Retained.Kept() && r.Retained.QoS1 < r.Retained.Of, "retained parts at QoS 1: %d of %d came; sites ask again at QoS 0", r.Retained.QoS1, r.Retained.Of)
	note(r.Retained.Wildcard < r.Retained.WildcardOf, "through a wildcard come %d of %d retained messages: fedmq needs none of them, but who watches misses some", r.Retained.Wildcard, r.Retained.WildcardOf)
	note(r.Order.Arrived < r.Order.Of, "of %d messages to a subscriber that keeps up %d arrived; fedmq asks again", r.Order.Of, r.Order.Arrived)
	note(r.Queue.Of > 0 && r.Queue.Arrived < leastQueue, "only %d messages are queued for a busy subscriber: raise the limit to %d, else uploads are asked for again", r.Queue.Arrived, leastQueue)
	note(r.Queue.Of > 0 && !r.Will, "no Last Will was sent: a party that crashes looks online until it is back")
	note(r.Will && !r.WillRetained, "Last Wills are not retained: who looks later sees a crashed party online until it is back")
	note(r.RestartKept != nil && *r.RestartKept < filtersPerSub, "retained messages do not survive a restart of the broker: the model is back once the aggregator is")
	open := r.Access.Write == Open || r.Access.Will == Open
	note(open, "this user may write on topics of others: give each party an access list, or sign (keys)")
	note(len(r.Skipped) > 0, "no time was left for: %v", r.Skipped)
}

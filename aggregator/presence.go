package aggregator

import (
	"encoding/json"
	"slices"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// linkState follows the connection.
func (a *aggregator) linkState(s link.State) {
	if a.up && (!s.Up || s.Epoch != a.connection) {
		a.log.Warn().Err(s.Err).Msg("link down")
		a.up = false
		for _, t := range a.order {
			t.published.forgetAhead()
		}
		a.machine.Step(a.nowMS(), owner.LinkDown{})
	}
	if !s.Up {
		return
	}
	if s.Err != nil {
		a.log.Error().Err(s.Err).Msg("the broker refuses subscriptions; check its access control list")
	}
	if a.up {
		return
	}
	a.up, a.upSince, a.connection = true, a.nowMS(), s.Epoch
	a.log.Info().Uint64("connection", s.Epoch).Msg("link up")
	a.machine.Step(a.nowMS(), owner.LinkUp{})
	a.showAgain()
}

// showAgain has what people read published again: a broker may have lost all that
// was retained.
func (a *aggregator) showAgain() {
	for _, t := range a.order {
		t.viewDue, t.statisticsDue = true, true
		t.numbers.due, t.numbers.at = true, 0
		t.curve.due, t.curve.at = t.keeping.curve.last != nil, 0
	}
}

// ownState looks at what the broker shows as this node's presence.
func (a *aggregator) ownState(m link.Message) {
	a.machine.Step(a.nowMS(), owner.Echo{Own: slices.Equal(m.Payload, a.presence)})
}

// memberState is what is read of a member's presence. It is JSON, which anybody who may
// write there can forge: a process on another disk may come sooner by it, and
// nothing else.
type memberState struct {
	Online     bool       `json:"online"`
	Instance   wire.Nonce `json:"instance"` // zero: it is of a version that does not say
	Connection uint64     `json:"connection"`
	Will       bool       `json:"will"`
}

// maxState bounds the JSON that is looked at.
const maxState = 16 << 10

// memberState takes a member's presence in.
func (a *aggregator) memberState(path string, payload []byte) {
	var s memberState
	if len(payload) > maxState || json.Unmarshal(payload, &s) != nil || s.Instance.IsZero() {
		return
	}
	for _, t := range a.order {
		t.step(owner.MemberShown{Presence: round.Presence{
			Member: path, Instance: s.Instance, Connection: s.Connection, Online: s.Online, Ended: !s.Online && !s.Will,
		}})
	}
}

// send passes on what the machine says for the node.
func (a *aggregator) send(msgs []owner.Message) {
	for _, m := range msgs {
		switch m := m.(type) {
		case owner.Presence:
			a.sayState(m)
		case owner.Resubscribe:
			a.log.Warn().Msg("the broker does not send what this node subscribed to; subscribed again")
			var topics []string
			for _, f := range a.filters() {
				topics = append(topics, f.Topic)
			}
			a.conn.Resubscribe(topics...)
		}
	}
}

// sayState publishes the presence, and views with it.
func (a *aggregator) sayState(m owner.Presence) {
	if m.Repair {
		a.log.Warn().Str("topic", a.self.State()).Msg("the broker showed other bytes, or none; published again")
		a.conn.Post(link.Message{Topic: a.self.State(), Payload: a.presence, QoS: 1, Retained: true})
		return
	}
	msg := a.stateMessage(true)
	a.presence = msg.Payload
	a.conn.Post(msg)
	for _, t := range a.order {
		t.viewDue = true
	}
}

// filters are the standing subscriptions.
func (a *aggregator) filters() []link.Filter {
	f := []link.Filter{{Topic: a.self.State(), QoS: 1}}
	for _, t := range a.order {
		f = append(f, t.filters(a.ns)...)
		for _, m := range t.members {
			if of := (link.Filter{Topic: a.ns.MemberFilterTopic(m, "", topics.State), QoS: 1}); !slices.Contains(f, of) { // two tasks may have one
				f = append(f, of)
			}
		}
	}
	return f
}

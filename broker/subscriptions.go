package broker

import (
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// fewSubscriptions are every session's own, without a look at the user's others.
const fewSubscriptions = 16

// tooManySubscriptions tells whether a user would have more than it may with what a
// SUBSCRIBE adds: an attacker has as many sessions as may be.
func (h *hook) tooManySubscriptions(cl *mqtt.Client, pk *packets.Packet) bool {
	more := 0
	for i := range pk.Filters {
		if _, known := cl.State.Subscriptions.Get(pk.Filters[i].Filter); !known {
			more++
		}
	}
	if more == 0 || cl.State.Subscriptions.Len()+more <= fewSubscriptions {
		return false
	}
	user := h.userOf(cl)
	return h.subscriptions(&user)+more > h.limitsOf(user).Subscriptions
}

// subscriptions are those of one user's sessions, or with nil of all. The library's
// own count believes what clients unsubscribe from.
func (h *hook) subscriptions(user *string) (n int) {
	h.sessions.all.Range(func(k, s any) bool {
		if user == nil || s.(*session).user == *user {
			n += k.(*mqtt.Client).State.Subscriptions.Len()
		}
		return true
	})
	return n
}

// OnSubscribe does what the library would for a SUBSCRIBE, which gets nothing to do but
// the answer: it minds packet ids (packetid.go), and sends what is retained all at once
// (backlog.go).
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	if c, ok := cl.Net.Conn.(*conn); ok {
		c.granted = make([]byte, len(pk.Filters))
		for i, sub := range pk.Filters {
			code := h.subscribe(cl, &c.backlog, sub)
			if code >= packets.ErrUnspecifiedError.Code && cl.Properties.ProtocolVersion < 5 {
				code = packets.ErrUnspecifiedError.Code
			}
			c.granted[i] = code
		}
	}
	pk.Filters = nil
	return pk
}

// subscribe answers for one filter.
func (h *hook) subscribe(cl *mqtt.Client, l *backlog, sub packets.Subscription) (code byte) {
	shared := mqtt.IsSharedFilter(sub.Filter)
	r := h.mayNot(cl, sub.Filter, false)
	switch {
	case !mqtt.IsValidFilter(sub.Filter, false):
		code, r = packets.ErrTopicFilterInvalid.Code, max(r, ReasonFilter)
	case sub.NoLocal && shared:
		code, r = packets.ErrProtocolViolationInvalidSharedNoLocal.Code, ReasonFilter
	case r != 0:
		code = packets.ErrNotAuthorized.Code
	}
	if r != 0 {
		h.logDenied(cl, r, "subscribe", sub.Filter)
		return code
	}
	l.mu.Lock() // messages that come from now on wait for the list
	defer l.mu.Unlock()
	isNew := h.server.Topics.Subscribe(cl.ID, sub)
	if isNew {
		atomic.AddInt64(&h.server.Info.Subscriptions, 1)
	}
	cl.State.Subscriptions.Add(sub.Filter, sub)
	if !shared && (sub.RetainHandling == 0 || sub.RetainHandling == 1 && isNew) {
		l.tidy(int(h.retention.count()), func(topic string) bool { _, there := h.server.Topics.Retained.Get(topic); return there })
		l.list(&h.retention, sub.Filter)
	}
	return sub.Qos
}

package broker

import (
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/rs/zerolog"
)

// messageOverhead is what the library needs for a message besides its bytes.
const messageOverhead = 1 << 10

// pairOverhead is what two strings need besides theirs.
const pairOverhead = 32

// sizeOf is what a message costs that is kept, in bytes: a payload that is shared
// counts to each that keeps it, who may be the last.
func (h *hook) sizeOf(pk *packets.Packet) int {
	p := &pk.Properties
	n := messageOverhead + len(pk.TopicName) + len(h.shares.payload(pk)) + len(p.ContentType) + len(p.ResponseTopic) + len(p.CorrelationData)
	for _, u := range p.User {
		n += pairOverhead + len(u.Key) + len(u.Val)
	}
	return n
}

// retention counts retained messages to the users that published them. It
// remembers as many topics as there are retained.
type retention struct {
	mu    sync.RWMutex
	of    map[string]retained // by topic
	names names               // of these, and of the library's own
	users map[string]*held
}

type retained struct {
	user string
	size int
}

type held struct{ bytes, topics int }

// fits tells whether the user may have a message of that size on the topic, or
// why not. Replacing a message of its own needs no more than the difference.
func (k *retention) fits(user string, l RoleLimits, topic string, size int) Reason {
	k.mu.RLock()
	defer k.mu.RUnlock()
	bytes, topics := size, 1
	if u := k.users[user]; u != nil {
		bytes, topics = bytes+u.bytes, topics+u.topics
	}
	if old, ok := k.of[topic]; ok && old.user == user {
		bytes, topics = bytes-old.size, topics-1
	}
	switch {
	case bytes > l.RetainedBytes:
		return ReasonRetainedBytes
	case topics > l.RetainedTopics:
		return ReasonRetainedTopics
	}
	return 0
}

// set notes who has published what is retained on the topic now; 0 is nothing.
func (k *retention) set(user, topic string, size int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil {
		k.of, k.users = map[string]retained{}, map[string]*held{}
	}
	if old, ok := k.of[topic]; ok {
		u := k.users[old.user]
		u.bytes, u.topics = u.bytes-old.size, u.topics-1
		if u.topics == 0 {
			delete(k.users, old.user)
		}
		delete(k.of, topic)
	}
	if size == 0 {
		k.names.remove(topic)
		return
	}
	k.names.add(topic)
	u := k.users[user]
	if u == nil {
		u = &held{}
		k.users[user] = u
	}
	u.bytes, u.topics = u.bytes+size, u.topics+1
	k.of[topic] = retained{user, size}
}

func (k *retention) count() int64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return int64(len(k.of))
}

// own notes what the library itself retains, which is below $SYS.
func (k *retention) own(retained *packets.Packets) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for topic := range retained.GetAll() {
		k.names.add(topic)
	}
}

// each calls f with every topic that the filter matches.
func (k *retention) each(filter string, f func(topic string)) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	k.names.each(filter, f)
}

// userOf is whom a client counts to, "" for everybody of an open broker.
func (h *hook) userOf(cl *mqtt.Client) string {
	if h.open {
		return ""
	}
	return string(cl.Properties.Username)
}

// writerOf is the user that may write a topic found at the start; of several the first by
// name, so that a start counts as the one before did.
func (h *hook) writerOf(topic string) (user string) {
	for name, a := range h.users {
		if (user == "" || name < user) && contained(a.write, topic) {
			user = name
		}
	}
	return user
}

// tooMuch tells why a retained publish is refused, 0 where it is not one, or may be.
func (h *hook) tooMuch(cl *mqtt.Client, pk *packets.Packet) Reason {
	if pk.FixedHeader.Type != packets.Publish || !pk.FixedHeader.Retain || len(pk.Payload) == 0 {
		return 0
	}
	user := h.userOf(cl)
	return h.retention.fits(user, h.limitsOf(user), pk.TopicName, h.sizeOf(pk))
}

// canAnswer tells whether a refused publish has an answer that says so; else
// the connection ends.
func canAnswer(cl *mqtt.Client, pk *packets.Packet) bool {
	return pk.FixedHeader.Qos == 0 || pk.FixedHeader.Qos == 1 && cl.Properties.ProtocolVersion == 5
}

// OnPublish refuses retained messages beyond the user's limits: with QoS 0 they
// vanish, as other publishes that are denied do.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	r := h.tooMuch(cl, &pk)
	if r == 0 {
		return pk, nil
	}
	h.logRetained(cl, r, &pk)
	if pk.FixedHeader.Qos == 0 {
		return pk, packets.ErrRejectPacket
	}
	return pk, packets.ErrQuotaExceeded // the answer
}

func (h *hook) logRetained(cl *mqtt.Client, r Reason, pk *packets.Packet) {
	h.refuse(r, cl.Net.Remote, "retained message refused", func(e *zerolog.Event) {
		e.Str("client", cut(cl.ID)).Str("topic", cut(pk.TopicName)).Int("bytes", len(h.shares.payload(pk)))
	})
}

package broker

import (
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

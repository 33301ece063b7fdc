package broker

import (
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// Last Wills of MQTT 5 may wait after the connection has ended. The library keeps
// each until its time, by client id: many ids would be many Wills. A user has as
// many that wait, or will, as sessions; one more is sent at once.

// delays are Wills with a delay, of clients that are connected or gone.
type delays struct {
	mu    sync.Mutex
	users map[string]map[string]time.Time // by user and client id: when it is sent, zero while connected
}

// take notes a Will with a delay, or reports that there are too many.
func (d *delays) take(user, id string, most int, there func(id string) bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	of := d.users[user]
	for old, at := range of {
		if old == id || at.IsZero() && !there(old) || !at.IsZero() && time.Now().After(at) {
			delete(of, old)
		}
	}
	if len(of) >= most {
		return false
	}
	if of == nil {
		of = map[string]time.Time{}
		d.users[user] = of
	}
	of[id] = time.Time{}
	return true
}

// left notes that the client is gone: its Will waits for so long, 0 is not at all.
func (d *delays) left(user, id string, wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	of := d.users[user]
	if wait == 0 {
		delete(of, id)
		return
	}
	if of == nil { // forgotten before the library knew of it
		of = map[string]time.Time{}
		d.users[user] = of
	}
	of[id] = time.Now().Add(wait + 2*time.Second) // the library looks once a second
}

// delayWill lets a client's Will wait, if it may.
func (h *hook) delayWill(cl *mqtt.Client, user string, l RoleLimits) {
	there := func(id string) bool {
		other, ok := h.server.Clients.Get(id)
		return ok && !other.Closed()
	}
	w := &cl.Properties.Will
	if w.WillDelayInterval == 0 {
		h.delays.left(user, cl.ID, 0) // the library sends none that waits for this id
	} else if !h.delays.take(user, cl.ID, l.Sessions, there) {
		w.WillDelayInterval = 0
	}
}

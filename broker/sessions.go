package broker

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/mochi-mqtt/server/v2/system"
	"github.com/rs/zerolog"
)

// Sessions that outlive their connection keep subscriptions and copies of
// messages in memory, a copy each. The library bounds the messages of one, not
// their bytes, and not how many sessions there are; here both are bounded.

// sweepEvery is how often at most all sessions are looked at.
const sweepEvery = 50 * time.Millisecond

// sessions are those of the library, from CONNACK to their end.
type sessions struct {
	all  sync.Map // *mqtt.Client -> *session
	wake chan struct{}
}

type session struct {
	user   string
	limits RoleLimits

	bytes atomic.Int64 // that wait, of a client that is away
	left  atomic.Int64 // when its connection ended, in nanoseconds
	away  bool         // it was measured since; the sweeper's
}

func newSessions() *sessions { return &sessions{wake: make(chan struct{}, 1)} }

func (s *sessions) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *sessions) get(cl *mqtt.Client) *session {
	if v, ok := s.all.Load(cl); ok {
		return v.(*session)
	}
	return nil
}

// begin notes a client whose session begins or goes on.
func (h *hook) begin(cl *mqtt.Client) {
	s := h.session(cl)
	h.delayWill(cl, s.user, s.limits)
	h.sessions.look()
}

// OnDisconnect notes when a connection ended.
func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	if s := h.sessions.get(cl); s != nil {
		s.left.Store(time.Now().UnixNano())
		h.delays.left(s.user, cl.ID, time.Duration(cl.Properties.Will.WillDelayInterval)*time.Second)
	}
	h.sessions.look()
}

func (h *hook) session(cl *mqtt.Client) *session {
	if s := h.sessions.get(cl); s != nil {
		return s
	}
	user := h.userOf(cl)
	v, _ := h.sessions.all.LoadOrStore(cl, &session{user: user, limits: h.limitsOf(user)})
	return v.(*session)
}

// OnSysInfoTick comes every ten seconds.
func (h *hook) OnSysInfoTick(*system.Info) { h.sessions.look() }

// measure adds up what the library keeps for a client.
func (h *hook) measure(s *session, cl *mqtt.Client) {
	bytes := int64(0)
	list := cl.State.Inflight.GetAll(false)
	for i := range list {
		bytes += int64(h.sizeOf(&list[i]))
	}
	s.bytes.Store(bytes)
}

// OnQosPublish is told of each message that waits for its acknowledgement. For a
// client that is connected its queue bounds them.
func (h *hook) OnQosPublish(cl *mqtt.Client, pk packets.Packet, _ int64, _ int) {
	if !cl.Closed() {
		return
	}
	if s := h.sessions.get(cl); s != nil {
		s.bytes.Add(int64(h.sizeOf(&pk)))
		h.sessions.look()
	}
}

// OnClientExpired ends a session that was away for a day; the library leaves
// its subscriptions behind.
func (h *hook) OnClientExpired(cl *mqtt.Client) {
	h.server.UnsubscribeClient(cl)
	cl.ClearInflights()
	h.sessions.all.Delete(cl)
}

// boundSessions looks after the sessions until stop is closed.
func (h *hook) boundSessions(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-h.sessions.wake:
		}
		h.guard(nil, h.sweepSessions)
		select {
		case <-stop:
			return
		case <-time.After(sweepEvery):
		}
	}
}

// idle is a session without a connection.
type idle struct {
	cl    *mqtt.Client
	s     *session
	bytes int
}

// sweepSessions ends the sessions that are too many, or hold too much, the oldest
// first, and those that the library has left behind.
func (h *hook) sweepSessions() {
	var list []idle
	for _, cl := range h.server.Clients.GetAll() {
		switch {
		case !cl.Closed():
		case h.ended(cl):
			h.end(cl)
		default:
			list = append(list, idle{cl: cl, s: h.session(cl)})
		}
	}
	h.age(list)
	h.bound(list)
	h.sessions.all.Range(func(k, _ any) bool {
		cl := k.(*mqtt.Client)
		in := established(cl)
		now, ok := h.server.Clients.Get(cl.ID)
		switch {
		case ok && now == cl:
		case cl.Closed(): // it was taken over, or is over
			h.sessions.all.Delete(cl)
		case in:
			h.cut(cl)
		}
		return true
	})
}

// established tells whether the client has had its CONNACK: the library knows it, until it
// is closed.
func established(cl *mqtt.Client) bool {
	c, ok := cl.Net.Conn.(*conn)
	return ok && closed(c.settled)
}

// cut ends the connection of a client that the library has lost: where a session expires
// while its client comes back, the library forgets the id, which is the new connection's.
// It would get nothing any more, and not learn of it; so it comes again.
func (h *hook) cut(cl *mqtt.Client) {
	cl.Stop(errLost)
	h.log.Warn().Str("client", cut(cl.ID)).Str("remote", cl.Net.Remote).Msg("connection closed: its session expired while the client came back")
}

var errLost = errors.New("broker: the session has expired")

// ended tells whether a session that should have ended with its connection is
// still there, because the connection ended during its CONNACK.
func (h *hook) ended(cl *mqtt.Client) bool {
	c, ok := cl.Net.Conn.(*conn)
	return (!ok || closed(c.gone)) && ends(cl)
}

// age brings sessions into the order in which they lost their connections, and
// measures those that are new; from then on all that is queued is counted.
func (h *hook) age(list []idle) {
	for i := range list {
		at := &list[i]
		if !at.s.away {
			at.s.away = true
			at.s.left.CompareAndSwap(0, time.Now().UnixNano())
			h.measure(at.s, at.cl)
		}
		at.bytes = int(at.s.bytes.Load())
	}
	slices.SortFunc(list, func(a, b idle) int { return cmp.Compare(a.s.left.Load(), b.s.left.Load()) })
}

// bound lets the newest stay, of each user and in all.
func (h *hook) bound(list []idle) {
	type sum struct{ n, bytes int }
	users := map[string]sum{}
	all := sum{}
	for _, at := range slices.Backward(list) {
		u := users[at.s.user]
		u.n, u.bytes = u.n+1, u.bytes+at.bytes
		switch {
		case u.n > at.s.limits.Sessions, all.n+1 > h.limits.Sessions:
			h.evict(at, ReasonSessions)
		case u.bytes > at.s.limits.QueuedBytes, all.bytes+at.bytes > h.limits.QueuedBytes:
			h.evict(at, ReasonQueued)
		default:
			users[at.s.user] = u
			all.n, all.bytes = all.n+1, all.bytes+at.bytes
		}
	}
}

func (h *hook) evict(at idle, r Reason) {
	if !h.end(at.cl) {
		return
	}
	h.refuse(r, at.cl.Net.Remote, "session ended: too many, or too much queued", func(e *zerolog.Event) {
		e.Str("user", cut(at.s.user)).Str("client", cut(at.cl.ID)).Int("bytes", at.bytes)
	})
}

// end takes a session without a connection off the library, unless its client is
// coming back.
func (h *hook) end(cl *mqtt.Client) bool {
	release, ok := h.begins.hold(cl.ID)
	if !ok {
		h.sessions.look()
		return false
	}
	defer release()
	if now, ok := h.server.Clients.Get(cl.ID); !ok || now != cl || !cl.Closed() {
		return false
	}
	h.server.UnsubscribeClient(cl)
	cl.ClearInflights()
	h.server.Clients.Delete(cl.ID)
	h.sessions.all.Delete(cl)
	return true
}

// hold keeps a client id from beginning until it is released; it fails where
// one begins.
func (b *beginning) hold(id string) (release func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of[id] != nil {
		return nil, false
	}
	c := &conn{begins: id, settled: make(chan struct{})}
	if b.of == nil {
		b.of = map[string]*conn{}
	}
	b.of[id] = c
	return func() { b.settle(c) }, true
}

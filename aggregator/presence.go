package aggregator

import (
	"slices"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
)

// linkState follows the connection. The first time it is up the aggregator
// publishes its state and waits for it to come back: retained orders of its
// own have then arrived too.
func (a *aggregator) linkState(s link.State) {
	if a.up && (!s.Up || s.Epoch != a.connection) {
		a.linkDown(s)
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
	a.sayState()
	a.heartbeat.Reset(a.heartbeatTime())
	if !a.started {
		a.startBy.Reset(ownStateWait)
		return
	}
	a.recv.Connected(a.nowMS())
	for _, t := range a.order {
		t.connected()
	}
}

func (a *aggregator) linkDown(s link.State) {
	a.log.Warn().Err(s.Err).Msg("link down")
	a.up = false
	a.startBy.Stop() // nothing was looked at without a link
	if !a.started {
		return
	}
	a.recv.Disconnected(a.nowMS())
	for _, t := range a.order {
		t.mender.Disconnected(a.nowMS())
		t.step(round.Disconnected{})
	}
}

// sayState publishes the presence.
func (a *aggregator) sayState() {
	m := a.stateMessage(true)
	a.state.payload = m.Payload
	a.state.copy.Replace()
	a.echoBy = a.nowMS() + echoWithin.Milliseconds()
	a.conn.Post(m)
}

// ownState looks at what the broker shows as this node's presence. The first
// echo of the own one starts the tasks; other bytes, such as the Last Will of
// a connection that is long gone, are replaced.
func (a *aggregator) ownState(m link.Message) {
	a.state.look(m.Payload, a.nowMS())
	if slices.Equal(m.Payload, a.state.payload) {
		a.echoBy, a.deaf = 0, false
		a.start()
	}
}

// listen asks for all subscriptions again when the own presence does not come
// back: a broker may lose them and keep the link, and who hears nothing would
// call every member missing.
func (a *aggregator) listen(now int64) {
	if a.echoBy == 0 || now < a.echoBy {
		return
	}
	a.log.Warn().Msg("the broker does not send what this node subscribed to; subscribed again")
	a.deaf = true
	var topics []string
	for _, f := range a.filters() {
		topics = append(topics, f.Topic)
	}
	a.conn.Resubscribe(topics...)
	a.echoBy = now + retryEvery.Milliseconds() // the retained presence comes with the subscription
}

// beat republishes presence and views, +-20 % so that parties spread, and asks
// for the own retained topics.
func (a *aggregator) beat() {
	if a.up {
		a.sayState()
		for _, t := range a.order {
			t.viewDue = true
			if a.started && !t.flying {
				t.ask(a.nowMS())
			}
		}
	}
	a.heartbeat.Reset(a.heartbeatTime())
}

// heartbeatTime is max(30 s, 10 ms x members), +-20 %.
func (a *aggregator) heartbeatTime() time.Duration {
	ms := int64(30_000)
	for _, t := range a.order {
		ms = max(ms, 10*int64(t.machine.Welcomed()))
	}
	var r [2]byte
	a.cfg.Rand(r[:])
	spread := int64(r[0]) | int64(r[1])<<8 // 0..65535
	return time.Duration(ms*(80+40*spread/65535)/100) * time.Millisecond
}

package broker

import "sync/atomic"

// Stats are the numbers of a broker at one moment; what is counted is counted
// since the start.
type Stats struct {
	Ready         bool  // clients may connect
	Clients       int64 // connected now
	Subscriptions int64 // now
	Retained      int64 // messages kept now
	InFlight      int64 // QoS 1 and 2 messages that wait for their acknowledgement now

	MessagesIn, MessagesOut uint64 // PUBLISH
	MessagesDropped         uint64 // for subscribers that were too slow, queued and in flight
	BytesIn, BytesOut       uint64 // MQTT bytes

	RefusedConnections uint64 // that no user was let in with
	DeniedTopics       uint64 // publishes and filters outside of the access list
}

// tally counts what the library does not.
type tally struct{ refused, denied atomic.Uint64 }

// Stats returns the numbers now, at any time and from any goroutine.
func (b *Broker) Stats() Stats {
	i := b.server.Info.Clone()
	s := Stats{
		Clients: i.ClientsConnected, Subscriptions: i.Subscriptions, Retained: i.Retained, InFlight: i.Inflight,
		MessagesIn: count(i.MessagesReceived), MessagesOut: count(i.MessagesSent), MessagesDropped: count(i.MessagesDropped + i.InflightDropped),
		BytesIn: count(i.BytesReceived), BytesOut: count(i.BytesSent),
		RefusedConnections: b.hook.tally.refused.Load(), DeniedTopics: b.hook.tally.denied.Load(),
	}
	s.Ready = closed(b.ready) && !closed(b.stopping)
	return s
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func count(n int64) uint64 { return uint64(max(n, 0)) }

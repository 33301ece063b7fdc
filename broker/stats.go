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

	Refused map[Reason]uint64 // every reason, also with 0
	// DiskError is why retained messages do not reach the disk, "" when they do.
	DiskError string
}

// tally counts what the library does not.
type tally struct{ refused [reasonEnd]atomic.Uint64 }

// Stats returns the numbers now, at any time and from any goroutine.
func (b *Broker) Stats() Stats {
	i := b.server.Info.Clone()
	s := Stats{
		Clients: i.ClientsConnected, Subscriptions: int64(b.hook.subscriptions(nil)), Retained: b.hook.retention.count(), InFlight: i.Inflight,
		MessagesIn: count(i.MessagesReceived), MessagesOut: count(i.MessagesSent), MessagesDropped: count(i.MessagesDropped + i.InflightDropped),
		BytesIn: count(i.BytesReceived), BytesOut: count(i.BytesSent),
		Refused: map[Reason]uint64{},
	}
	for _, r := range Reasons() {
		s.Refused[r] = b.hook.tally.refused[r].Load()
	}
	s.Ready = closed(b.ready) && !closed(b.stopping)
	if closed(b.ready) && b.retained != nil {
		if err := b.retained.Failed(); err != nil {
			s.DiskError = err.Error()
		}
	}
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

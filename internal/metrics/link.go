package metrics

import (
	"fmt"
	"strings"

	"github.com/fedmq/fedmq/internal/link"
)

// linkMetrics are those of a connection, of whatever it is part of.
func linkMetrics[T any](of func(T) link.Stats) []metric[T] {
	m := func(name string, k kind, help string, f func(link.Stats) float64) metric[T] {
		return metric[T]{name, k, nil, help, one(func(s T) float64 { return f(of(s)) })}
	}
	return []metric[T]{
		m("fedmq_link_up", gauge, "1 while the broker has answered the connection and its subscriptions.", func(s link.Stats) float64 { return truth(s.Up) }),
		m("fedmq_link_connections_total", counter, "Connections made.", func(s link.Stats) float64 { return float64(s.Epoch) }),
		m("fedmq_link_attempts_total", counter, "Connections tried.", func(s link.Stats) float64 { return float64(s.Attempts) }),
		m("fedmq_link_losses_total", counter, "Connections lost.", func(s link.Stats) float64 { return float64(s.Losses) }),
		m("fedmq_link_denied_filters", gauge, "Subscriptions that the broker refuses now; the access list lacks them.", func(s link.Stats) float64 { return float64(len(s.Denied)) }),
		m("fedmq_link_quarantined_topics", gauge, "Topics not sent to now, because publishing there cost the connection.", func(s link.Stats) float64 { return float64(len(s.Quarantined)) }),
		m("fedmq_link_published_total", counter, "Messages the broker has taken.", func(s link.Stats) float64 { return float64(s.Published) }),
		m("fedmq_link_unknown_outcomes_total", counter, "Messages whose connection was lost before their acknowledgement; they are sent again.", func(s link.Stats) float64 { return float64(s.Unknown) }),
		m("fedmq_link_inflight", gauge, "Messages that wait for their acknowledgement.", func(s link.Stats) float64 { return float64(s.InFlight) }),
		m("fedmq_link_received_total", counter, "Messages received.", func(s link.Stats) float64 { return float64(s.Received) }),
		m("fedmq_link_dropped_total", counter, "Received messages dropped because the queue was full.", func(s link.Stats) float64 { return float64(s.Dropped) }),
		m("fedmq_link_coalesced_total", counter, "Received messages replaced by a newer one on their topic before they were read.", func(s link.Stats) float64 { return float64(s.Coalesced) }),
		m("fedmq_link_too_large_total", counter, "Received messages over the limit, read past.", func(s link.Stats) float64 { return float64(s.TooLarge) }),
		m("fedmq_link_queue", gauge, "Received messages that wait to be read.", func(s link.Stats) float64 { return float64(s.Queued) }),
		m("fedmq_link_posts", gauge, "Messages that wait to be sent.", func(s link.Stats) float64 { return float64(s.Posts) }),
		m("fedmq_link_posts_dropped_total", counter, "Messages for people and answers dropped unsent; the newest ones count.", func(s link.Stats) float64 { return float64(s.PostDropped) }),
		m("fedmq_link_posts_failed_total", counter, "Of these, sent without success.", func(s link.Stats) float64 { return float64(s.PostFailed) }),
		m("fedmq_link_receive_bytes_total", counter, "MQTT bytes received, without TLS and WebSocket.", func(s link.Stats) float64 { return float64(s.BytesIn) }),
		m("fedmq_link_transmit_bytes_total", counter, "MQTT bytes sent, likewise.", func(s link.Stats) float64 { return float64(s.BytesOut) }),
	}
}

// linkReady says what a connection lacks, "" for nothing.
func linkReady(s link.Stats) string {
	switch {
	case !s.Up && s.LastError != "":
		return "no connection to the broker: " + s.LastError
	case !s.Up:
		return "no connection to the broker yet"
	case len(s.Denied) > 0:
		return fmt.Sprintf("the broker refuses %d subscriptions: %s", len(s.Denied), strings.Join(s.Denied, ", "))
	}
	return ""
}

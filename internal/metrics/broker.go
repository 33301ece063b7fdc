package metrics

import "github.com/fedmq/fedmq/broker"

// brokerMetrics is the table of the embedded broker.
func brokerMetrics() []metric[broker.Stats] {
	m := func(name string, k kind, help string, f func(broker.Stats) float64) metric[broker.Stats] {
		return metric[broker.Stats]{name, k, nil, help, one(f)}
	}
	return []metric[broker.Stats]{
		m("fedmq_broker_ready", gauge, "1 while clients may connect.", func(s broker.Stats) float64 { return truth(s.Ready) }),
		m("fedmq_broker_clients", gauge, "Clients connected.", func(s broker.Stats) float64 { return float64(s.Clients) }),
		m("fedmq_broker_subscriptions", gauge, "Subscriptions.", func(s broker.Stats) float64 { return float64(s.Subscriptions) }),
		m("fedmq_broker_retained_messages", gauge, "Messages retained.", func(s broker.Stats) float64 { return float64(s.Retained) }),
		m("fedmq_broker_inflight", gauge, "Messages that wait for their acknowledgement.", func(s broker.Stats) float64 { return float64(s.InFlight) }),
		m("fedmq_broker_messages_received_total", counter, "Messages published by clients.", func(s broker.Stats) float64 { return float64(s.MessagesIn) }),
		m("fedmq_broker_messages_sent_total", counter, "Messages delivered to clients.", func(s broker.Stats) float64 { return float64(s.MessagesOut) }),
		m("fedmq_broker_messages_dropped_total", counter, "Messages dropped for clients that read too slowly.", func(s broker.Stats) float64 { return float64(s.MessagesDropped) }),
		m("fedmq_broker_receive_bytes_total", counter, "MQTT bytes received.", func(s broker.Stats) float64 { return float64(s.BytesIn) }),
		m("fedmq_broker_transmit_bytes_total", counter, "MQTT bytes sent.", func(s broker.Stats) float64 { return float64(s.BytesOut) }),
		m("fedmq_broker_disk_failing", gauge, "1 while retained messages cannot be written to the disk.", func(s broker.Stats) float64 { return truth(s.DiskError != "") }),
		{"fedmq_broker_refused_total", counter, []string{"reason"}, "Connections, publishes, subscriptions and sessions refused, by reason ([howto/broker.md](../howto/broker.md)).", brokerRefusals},
	}
}

// Broker shows the embedded broker.
func Broker(b *broker.Broker) Source {
	return newSource(b.Stats, func(s broker.Stats) (bool, string) {
		switch {
		case !s.Ready:
			return false, "clients may not connect"
		case s.DiskError != "":
			return false, s.DiskError
		}
		return true, ""
	}, brokerMetrics())
}

func brokerRefusals(s broker.Stats) (out []value) {
	for _, r := range broker.Reasons() {
		out = append(out, value{float64(s.Refused[r]), []string{r.String()}})
	}
	return out
}

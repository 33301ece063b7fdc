package doctor

import "slices"

// Marks of a line of the report.
const (
	markGood = "ok"
	markBad  = "BAD"
	markNote = "-" // fedmq needs nothing of it
)

// judgement is what a line of the report means, and which setting of which broker
// mends it.
type judgement struct {
	row, step string // the step that measures it
	bad       func(*Report) bool
	note      func(*Report) bool // nil: it is good or bad
	cure      string
}

func always(*Report) bool { return true }
func never(*Report) bool  { return false }

// judgements has each row of the report; docs/ref/doctor.md explains them.
var judgements = []judgement{
	{
		row: "it announces", step: "what it announces", bad: func(r *Report) bool { return len(r.Announced.problems()) > 0 },
		note: func(r *Report) bool { return !r.Announced.MQTT5 }, cure: "retained messages: Mosquitto retain_available true; QoS 1: Mosquitto max_qos 1",
	},
	{
		row: "somebody reads everything", step: "historian", bad: never, note: func(r *Report) bool { return r.Historian != readsNone },
		cure: "who is subscribed to acme/# gets every update and model: bulk in the configurations puts them elsewhere",
	},
	{
		row: "names of plants", step: "names", bad: never, note: func(r *Report) bool { return len(r.Names) > 0 },
		cure: "a party with such a name does not start; no setting of the broker mends it",
	},
	{row: "round trip", step: "messages", bad: func(r *Report) bool { return r.RoundTripMS > 1000 }, cure: "the line is slow: give tasks a longer deadline; no setting of a broker mends it"},
	{row: "messages in a row", step: "messages in a row", bad: never, note: (*Report).holdsBack, cure: "Mosquitto set_tcp_nodelay true"},
	{
		row: "packet limit", step: "packet limit", bad: func(r *Report) bool { return partSize(r.PacketBytes, longestTopic("")) < defaultPart },
		cure: "Mosquitto max_packet_size, message_size_limit; HiveMQ mqtt/packets/max-packet-size; EMQX mqtt.max_packet_size; " +
			"RabbitMQ mqtt.max_packet_size_authenticated; NATS max_payload; fedmq broker --max-packet",
	},
	{
		row: "retained, exact topic, QoS 0", step: "retained", bad: func(r *Report) bool { return !r.whole() && r.Retained.QoS0 < r.Retained.Of },
		note: func(r *Report) bool { return r.Retained.QoS0 < r.Retained.Of }, cure: retainedCure,
	},
	{
		row: "retained, exact topic, QoS 1", step: "retained", bad: func(r *Report) bool { return !r.whole() && r.Retained.QoS1 < r.Retained.Of },
		note: func(r *Report) bool { return r.Retained.QoS1 < r.Retained.Of }, cure: retainedCure,
	},
	{
		row: "retained, largest packet", step: "retained size", bad: func(r *Report) bool {
			return r.Retained.Bytes < r.PacketBytes && partSize(r.Retained.Bytes, longestTopic("")) < defaultPart
		},
		cure: "EMQX retainer.max_payload_size; else as the packet limit",
	},
	{
		row: "retained, through a wildcard", step: "retained through wildcards", bad: never, note: func(r *Report) bool { return r.Retained.Wildcard < r.Retained.WildcardOf },
		cure: "only who watches with a wildcard misses some: Mosquitto max_queued_messages; EMQX retainer.flow_control; RabbitMQ gives none through a wildcard",
	},
	{row: "retain flag", step: "retained", bad: never, note: func(r *Report) bool { return !r.Retained.Flag || r.LiveFlag }, cure: "fedmq does not go by it"},
	{
		row: "retained, after a restart", step: "restart", bad: func(r *Report) bool { return r.RestartKept != nil && *r.RestartKept < filtersPerSub },
		note: func(r *Report) bool { return r.RestartKept == nil },
		cure: "Mosquitto persistence true; HiveMQ persistence/mode file; EMQX retainer.backend.storage_type = disc; RabbitMQ mqtt.retained_message_store; NATS jetstream; fedmq broker --data-dir",
	},
	{
		row: "Last Will", step: "Last Will", bad: func(r *Report) bool { return !r.Will || !r.WillRetained },
		cure: "allow each party to write its own _fl_v1/state, retained; Mosquitto retain_available true; HiveMQ mqtt/retained-messages/enabled; EMQX mqtt.retain_available",
	},
	{
		row: "order, subscriber keeps up", step: "order", bad: func(r *Report) bool { return r.Order.Arrived < r.Order.Of || r.Order.Late+r.Order.Twice > 0 },
		cure: "Mosquitto max_inflight_messages, max_queued_messages; HiveMQ mqtt/queued-messages/max-queue-size; EMQX mqtt.max_mqueue_len",
	},
	{
		row: "queue, subscriber is busy", step: "queue", bad: func(r *Report) bool { return r.Queue.Arrived < min(leastQueue, r.Queue.Of) },
		cure: "want 320: Mosquitto max_queued_messages; HiveMQ mqtt/queued-messages/max-queue-size; EMQX mqtt.max_mqueue_len; RabbitMQ policy max-length",
	},
	{row: "session resumed", step: "sessions", bad: never, note: always, cure: "fedmq needs none"},
	{row: "shared subscriptions", step: "shared subscriptions", bad: never, note: always, cure: "fedmq uses none"},
	{row: "QoS 2", step: "QoS 2", bad: never, note: always, cure: "fedmq uses none"},
	{row: "writes beside the own node", step: "access", bad: func(r *Report) bool { return r.Access.Write == Open }, cure: accessCure},
	{
		row: "wildcard over other nodes", step: "access", bad: never, note: func(r *Report) bool { return r.Access.Wildcard == Open },
		cure: "whoever reads acme/# gets every update: keep sites from it by the access list",
	},
	{row: "Will beside the own node", step: "access", bad: func(r *Report) bool { return r.Access.Will == Open }, cure: accessCure},
}

const (
	retainedCure = "Mosquitto retain_available true; HiveMQ mqtt/retained-messages/enabled; EMQX mqtt.retain_available, retainer.enable; RabbitMQ mqtt.retained_message_store"
	accessCure   = "this user may write for others: fedmq acl --for mosquitto|hivemq|emqx|rabbitmq prints an access list"
)

// whole reports that all retained parts came at one QoS: sites ask at the other.
func (r *Report) whole() bool { return max(r.Retained.QoS0, r.Retained.QoS1) >= r.Retained.Of }

// judge returns the mark of a row, and what mends it.
func (r *Report) judge(row string) (mark, cure string) {
	i := slices.IndexFunc(judgements, func(j judgement) bool { return j.row == row })
	if i < 0 {
		return markNote, ""
	}
	switch j := judgements[i]; {
	case slices.Contains(r.Skipped, j.step):
		return markNote, "not measured: no time was left"
	case j.bad(r):
		return markBad, j.cure
	case j.note != nil && j.note(r):
		return markNote, j.cure
	}
	return markGood, ""
}

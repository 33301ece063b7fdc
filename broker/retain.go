package broker

import (
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/fedmq/fedmq/internal/store"
)

// The library's own persistence hooks ignore errors of writing and store JSON
// (M5); these keep topic, payload and QoS in internal/store. Properties of
// MQTT 5 (content type, expiry) do not survive a restart of the broker.

// OnRetainMessage queues what the library now holds for the topic, which is
// not always pk: of a publisher and a delayed Will at once, the later one in
// memory must be the later one on the disk.
func (h *hook) OnRetainMessage(cl *mqtt.Client, pk packets.Packet, _ int64) {
	h.retaining.Lock()
	defer h.retaining.Unlock()
	now, ok := h.server.Topics.Retained.Get(pk.TopicName)
	if !ok && len(pk.Payload) > 0 { // cleared since, by OnRetainedExpired or somebody at the same time
		now, ok = pk.Copy(false), true
		h.server.Topics.RetainMessage(now)
	}
	if !ok {
		h.dropped(pk.TopicName)
		return
	}
	if now.Origin == pk.Origin { // else another client's at the same time, of which we are told too
		h.retention.set(h.userOf(cl), pk.TopicName, h.sizeOf(&now))
	}
	if h.retained == nil {
		return
	}
	err := h.retained.SetRetained(store.RetainedMessage{Topic: pk.TopicName, Payload: h.shares.payload(&now), QoS: now.FixedHeader.Qos})
	if err != nil { // the access list lets no such topic through
		h.log.Error().Err(err).Msg("retained message is in memory only")
	}
}

// dropped notes that nothing is retained on a topic any more; h.retaining is locked.
func (h *hook) dropped(topic string) {
	h.retention.set("", topic, 0)
	if h.retained != nil {
		h.retained.DeleteRetained(topic)
	}
}

// reportDisk says that retained messages do not reach the disk, or do again.
// The messages in memory are whole, so that clients are served on.
func (h *hook) reportDisk(err error) {
	if err != nil {
		h.log.Error().Err(err).Msg("retained messages cannot be written; they are in memory only, and tried again")
		return
	}
	h.log.Info().Msg("retained messages are written again")
}

// OnWill keeps a Last Will within what its user may retain: beyond it is sent, and
// not kept.
func (h *hook) OnWill(cl *mqtt.Client, w mqtt.Will) (mqtt.Will, error) {
	pk := packets.Packet{TopicName: w.TopicName, Payload: w.Payload, Properties: packets.Properties{User: w.User}}
	pk.FixedHeader.Type, pk.FixedHeader.Retain = packets.Publish, w.Retain
	if r := h.tooMuch(cl, &pk); r != 0 {
		h.logRetained(cl, r, &pk)
		w.Retain = false
	}
	return w, nil
}

// OnRetainedExpired forgets a message of MQTT 5 that has expired, with its topic,
// which the library leaves in its tree.
func (h *hook) OnRetainedExpired(topic string) {
	h.retaining.Lock()
	defer h.retaining.Unlock()
	if _, again := h.server.Topics.Retained.Get(topic); again {
		return // OnRetainMessage was told, or will be
	}
	h.server.Topics.RetainMessage(packets.Packet{TopicName: topic})
	h.dropped(topic)
}

// restore retains what was kept, at the start: each counts to the user that may write
// its topic, and what is beyond that user's limits now is dropped.
func (h *hook) restore() error {
	dropped := 0
	err := h.retained.EachRetained(func(m store.RetainedMessage) error {
		user := h.writerOf(m.Topic)
		pk := packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: m.QoS, Retain: true},
			TopicName:   m.Topic, Created: time.Now().Unix(),
		}
		h.shares.carry(&pk, m.Payload)
		size := h.sizeOf(&pk)
		if r := h.retention.fits(user, h.limitsOf(user), m.Topic, size); r != 0 {
			h.tally.refused[r].Add(1)
			h.retained.DeleteRetained(m.Topic)
			dropped++
			return nil
		}
		h.retention.set(user, m.Topic, size)
		h.server.Topics.RetainMessage(pk)
		return nil
	})
	if dropped > 0 {
		h.log.Warn().Int("messages", dropped).Msg("retained messages beyond limits.*.retained_bytes and retained_topics dropped")
	}
	return err
}

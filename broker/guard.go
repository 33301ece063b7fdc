package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/mochi-mqtt/server/v2/system"
)

// guarded is the hook as the library has it: no panic leaves it, because some of
// its methods are called by goroutines of the library's own, and some on behalf of
// another client. What panicked is denied, and the client it was about is cut off.
type guarded struct{ *hook }

// OnConnectAuthenticate is the hook's.
func (g guarded) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) (in bool) {
	g.guard(cl, func() { in = g.hook.OnConnectAuthenticate(cl, pk) })
	return in
}

// OnACLCheck is the hook's.
func (g guarded) OnACLCheck(cl *mqtt.Client, topic string, write bool) (may bool) {
	g.guard(cl, func() { may = g.hook.OnACLCheck(cl, topic, write) })
	return may
}

// OnPacketRead is the hook's.
func (g guarded) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (out packets.Packet, err error) {
	out, err = pk, packets.ErrRejectPacket
	g.guard(cl, func() { out, err = g.hook.OnPacketRead(cl, pk) })
	return out, err
}

// OnPacketEncode is the hook's.
func (g guarded) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	g.guard(cl, func() { pk = g.hook.OnPacketEncode(cl, pk) })
	return pk
}

// OnSubscribe is the hook's.
func (g guarded) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	out := pk
	out.Filters = nil // the library does nothing with them
	g.guard(cl, func() { out = g.hook.OnSubscribe(cl, pk) })
	return out
}

// OnUnsubscribe is the hook's.
func (g guarded) OnUnsubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	g.guard(cl, func() { pk = g.hook.OnUnsubscribe(cl, pk) })
	return pk
}

// OnSessionEstablish is the hook's.
func (g guarded) OnSessionEstablish(cl *mqtt.Client, pk packets.Packet) {
	g.guard(cl, func() { g.hook.OnSessionEstablish(cl, pk) })
}

// OnSessionEstablished is the hook's.
func (g guarded) OnSessionEstablished(cl *mqtt.Client, pk packets.Packet) {
	g.guard(cl, func() { g.hook.OnSessionEstablished(cl, pk) })
}

// OnDisconnect is the hook's.
func (g guarded) OnDisconnect(cl *mqtt.Client, err error, expire bool) {
	g.guard(cl, func() { g.hook.OnDisconnect(cl, err, expire) })
}

// OnRetainMessage is the hook's.
func (g guarded) OnRetainMessage(cl *mqtt.Client, pk packets.Packet, n int64) {
	g.guard(cl, func() { g.hook.OnRetainMessage(cl, pk, n) })
}

// OnWill is the hook's.
func (g guarded) OnWill(cl *mqtt.Client, w mqtt.Will) (out mqtt.Will, err error) {
	out, err = w, packets.ErrRejectPacket
	g.guard(cl, func() { out, err = g.hook.OnWill(cl, w) })
	return out, err
}

// OnRetainedExpired is the hook's.
func (g guarded) OnRetainedExpired(topic string) {
	g.guard(nil, func() { g.hook.OnRetainedExpired(topic) })
}

// OnPublish is the hook's.
func (g guarded) OnPublish(cl *mqtt.Client, pk packets.Packet) (out packets.Packet, err error) {
	out, err = pk, packets.ErrRejectPacket
	g.guard(cl, func() { out, err = g.hook.OnPublish(cl, pk) })
	return out, err
}

// OnQosPublish is the hook's.
func (g guarded) OnQosPublish(cl *mqtt.Client, pk packets.Packet, sent int64, again int) {
	g.guard(cl, func() { g.hook.OnQosPublish(cl, pk, sent, again) })
}

// OnClientExpired is the hook's.
func (g guarded) OnClientExpired(cl *mqtt.Client) {
	g.guard(cl, func() { g.hook.OnClientExpired(cl) })
}

// OnSysInfoTick is the hook's.
func (g guarded) OnSysInfoTick(info *system.Info) {
	g.guard(nil, func() { g.hook.OnSysInfoTick(info) })
}

package broker

import mqtt "github.com/mochi-mqtt/server/v2"

// sendAtOnce lets the library send every message to cl when it comes, as it does
// to clients of MQTT 3.1.1: the queue counts what a client of MQTT 5 takes at once.
// The library would hold messages back and look for the next one after each packet
// of a client that has a send quota left, with a read lock that it takes twice; a
// publisher that wants to write in between freezes both, and in the end the broker
// (M11). A quota of 0 at most 0 never rises. It is set before the client is among
// those that anything is delivered to, and again where the library takes an older
// session's list and its quota from the properties.
//
// Topic aliases to the client are its own affair as well: a dropped message would
// leave later ones without the topic it named.
func sendAtOnce(cl *mqtt.Client) {
	cl.Properties.Props.ReceiveMaximum = 0
	cl.Properties.Props.TopicAliasMaximum = 0
	cl.State.Inflight.ResetSendQuota(0)
}

package broker

import (
	"bytes"

	"github.com/mochi-mqtt/server/v2/packets"
)

// kinds of properties' values.
const (
	valueByte  = iota + 1 // 0 or 1
	valueTwo              // two bytes
	valueTwo1             // two bytes, not 0
	valueFour             // four bytes
	valueFour1            // four bytes, not 0
	valueVar1             // variable byte integer, not 0
	valueText
	valueBytes
	valuePair // two texts; may come again
)

// property says what a property of MQTT 5 holds and which of a client's packets
// may have it (MQTT 5, table 2-4).
type property struct {
	value int
	of    []byte
}

var properties = [64]property{
	packets.PropPayloadFormat:          {valueByte, []byte{packets.Publish, packets.WillProperties}},
	packets.PropMessageExpiryInterval:  {valueFour, []byte{packets.Publish, packets.WillProperties}},
	packets.PropContentType:            {valueText, []byte{packets.Publish, packets.WillProperties}},
	packets.PropResponseTopic:          {valueText, []byte{packets.Publish, packets.WillProperties}},
	packets.PropCorrelationData:        {valueBytes, []byte{packets.Publish, packets.WillProperties}},
	packets.PropSubscriptionIdentifier: {valueVar1, []byte{packets.Subscribe}},
	packets.PropSessionExpiryInterval:  {valueFour, []byte{packets.Connect, packets.Disconnect}},
	packets.PropAuthenticationMethod:   {valueText, []byte{packets.Connect, packets.Auth}},
	packets.PropAuthenticationData:     {valueBytes, []byte{packets.Connect, packets.Auth}},
	packets.PropRequestProblemInfo:     {valueByte, []byte{packets.Connect}},
	packets.PropWillDelayInterval:      {valueFour, []byte{packets.WillProperties}},
	packets.PropRequestResponseInfo:    {valueByte, []byte{packets.Connect}},
	packets.PropReasonString: {valueText, []byte{
		packets.Puback, packets.Pubrec, packets.Pubrel, packets.Pubcomp, packets.Disconnect, packets.Auth,
	}},
	packets.PropReceiveMaximum:    {valueTwo1, []byte{packets.Connect}},
	packets.PropTopicAliasMaximum: {valueTwo, []byte{packets.Connect}},
	packets.PropTopicAlias:        {valueTwo1, []byte{packets.Publish}},
	packets.PropUser: {valuePair, []byte{
		packets.Connect, packets.WillProperties, packets.Publish, packets.Puback, packets.Pubrec, packets.Pubrel,
		packets.Pubcomp, packets.Subscribe, packets.Unsubscribe, packets.Disconnect, packets.Auth,
	}},
	packets.PropMaximumPacketSize: {valueFour1, []byte{packets.Connect}},
}

// maxUser is how many user properties a packet may have: each takes 5 bytes to send
// and 32 to keep.
const maxUser = 64

// properties takes the properties of a packet, each once, or nothing before MQTT 5.
func (p *packet) properties(c *cursor, of byte) {
	if p.version != 5 {
		return
	}
	in := cursor{b: c.take(c.varint())}
	var seen uint64
	user := 0
	for len(in.b) > 0 {
		id := in.varint()
		if id >= len(properties) || bytes.IndexByte(properties[id].of, of) < 0 {
			in.fail("a property it may not have")
			break
		}
		prop := properties[id]
		if seen>>id&1 != 0 && prop.value != valuePair {
			in.fail("a property twice")
		}
		if prop.value == valuePair {
			if user++; user > maxUser {
				in.fail("too many user properties")
			}
		}
		seen |= 1 << id
		n := in.value(prop.value)
		switch id {
		case int(packets.PropReceiveMaximum):
			p.window = int(n)
		case int(packets.PropMaximumPacketSize):
			p.most = int(n)
		}
	}
	if in.bad != "" {
		c.fail(in.bad)
	}
}

// value takes one value, and returns it when it is a number.
func (c *cursor) value(kind int) (n uint32) {
	least, most := uint32(0), ^uint32(0)
	switch kind {
	case valueByte:
		n, most = uint32(c.u8()), 1
	case valueTwo:
		n = uint32(c.u16())
	case valueTwo1:
		n, least = uint32(c.u16()), 1
	case valueFour:
		n = c.u32()
	case valueFour1:
		n, least = c.u32(), 1
	case valueVar1:
		n, least = uint32(c.varint()), 1
	case valueText:
		c.text()
	case valueBytes:
		c.bytes()
	case valuePair:
		c.text()
		c.text()
	}
	if n < least || n > most {
		c.fail("a property's value")
	}
	return n
}

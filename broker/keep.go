package broker

import (
	"bytes"
	"strings"

	"github.com/mochi-mqtt/server/v2/packets"
)

// The library's strings are pieces of the packet that brought them, and a piece
// keeps the whole of it: the names of a topic's levels stay for as long as the topic
// does, also when a short message has replaced the one that brought them.

// detach makes what the library may keep of a client's packet its own. A payload is
// not: a short one is copied for everybody who gets it, a long one is its own.
func detach(pk *packets.Packet) {
	switch pk.FixedHeader.Type {
	case packets.Connect:
		c := &pk.Connect
		c.ClientIdentifier, c.WillTopic = strings.Clone(c.ClientIdentifier), strings.Clone(c.WillTopic)
		c.Username, c.WillPayload = bytes.Clone(c.Username), bytes.Clone(c.WillPayload)
		c.Password = bytes.Clone(c.Password)
		detachProperties(&c.WillProperties)
		pk.Properties.User, pk.Properties.AuthenticationMethod, pk.Properties.AuthenticationData = nil, "", nil // nobody asks
	case packets.Publish:
		pk.TopicName = strings.Clone(pk.TopicName)
		detachProperties(&pk.Properties)
	case packets.Subscribe:
		for i := range pk.Filters {
			pk.Filters[i].Filter = strings.Clone(pk.Filters[i].Filter)
		}
	}
}

func detachProperties(p *packets.Properties) {
	p.ContentType, p.ResponseTopic = strings.Clone(p.ContentType), strings.Clone(p.ResponseTopic)
	p.CorrelationData = bytes.Clone(p.CorrelationData)
	for i := range p.User {
		p.User[i] = packets.UserProperty{Key: strings.Clone(p.User[i].Key), Val: strings.Clone(p.User[i].Val)}
	}
}

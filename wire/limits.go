package wire

import (
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
)

// Sizes of MQTT payloads (W-13).
const (
	DefaultPart  = 126 << 10 // a model or an update in one message
	MinPart      = model.Leaf + PartOverhead
	MaxPart      = 4 << 20
	DefaultJoin  = 126 << 10
	DefaultOrder = 64 << 10 // order, reply and need
	DefaultPlain = 1 << 20  // a body after decompression
)

// Limits are the size caps of a receiver, in bytes. The zero value means the
// defaults.
type Limits struct {
	Part  int // payload of a model or update; default DefaultPart. A site that follows any aggregator sets MaxPart
	Join  int // payload of a join; default DefaultJoin
	Order int // payload of an order, reply or need; default DefaultOrder
	Plain int // plain body where the Bound sets none; default DefaultPlain or Part, whichever is more
}

func orDefault(v, def int) int {
	if v > 0 {
		return v
	}
	return def
}

// payload is the cap of step 1 for what arrived on a kind of topic. Topics
// that carry no envelope have the smallest: they are refused later, cheaply.
func (l Limits) payload(k topics.Kind) int {
	switch k {
	case topics.Model, topics.Released, topics.Canary, topics.Update:
		return orDefault(l.Part, DefaultPart)
	case topics.Join:
		return orDefault(l.Join, DefaultJoin)
	}
	return orDefault(l.Order, DefaultOrder)
}

func (l Limits) plain() int {
	return max(orDefault(l.Plain, DefaultPlain), l.Part)
}

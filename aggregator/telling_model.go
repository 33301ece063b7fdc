package aggregator

import (
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/view"
)

// tellModel says where the newest model is, anew with each order that is out, since a
// broker may have forgotten it.
func (t *telling) tellModel(of version, bytes int) {
	at := view.ModelAt{
		Schema: view.ModelAtSchema, TimestampMS: t.by.nowMS(), Topic: t.topics.Model(), Version: of.number, Content: of.content, Bytes: bytes,
	}
	t.by.post(link.Message{Topic: t.topics.ModelAt(), Payload: view.JSON(at), QoS: 1, Retained: true})
}

package consumer

import (
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/view"
)

// role is the word of a consumer's presence.
const role = "consumer"

// state makes the presence, or the word that it is gone: the Last Will, too.
func (c *consumer) state(online bool) link.Message {
	return link.Message{Topic: c.own.State(), QoS: 1, Retained: true, Payload: view.JSON(view.State{
		Schema: view.StateSchema, TimestampMS: time.Now().UnixMilli(), Online: online, Roles: []string{role}, Tasks: []string{c.cfg.Task},
		Instance: c.node.instance, Agent: c.cfg.Agent, Security: c.security, InsecureTLS: c.cfg.Link.TLS != nil && c.cfg.Link.TLS.InsecureSkipVerify,
	})}
}

// say publishes presence and status.
func (c *consumer) say() {
	v := view.Consumer{Schema: view.ConsumerSchema, TimestampMS: time.Now().UnixMilli(), Tries: c.tries, Failed: c.failed}
	if r := c.runs; r != nil {
		v.Version, v.Content, v.From, v.SinceMS = new(r.Header.Round), r.Header.Base.String(), r.Header.Kind, c.since.UnixMilli()
	}
	c.conn.Post(c.state(true))
	c.conn.Post(link.Message{Topic: c.own.Status(), QoS: 1, Retained: true, Payload: view.JSON(v)})
}

// maxText is of an error in a status, bytes.
const maxText = 512

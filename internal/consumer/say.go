package consumer

import (
	"encoding/json"
	"fmt"
	"slices"
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
		Instance: c.instance, Agent: c.cfg.Agent, Security: c.security, InsecureTLS: c.cfg.Link.TLS != nil && c.cfg.Link.TLS.InsecureSkipVerify,
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

// neighbour looks at what stands as the presence of this node. A site, or an aggregator,
// has it for its own, also while it is away; another consumer should not.
func (c *consumer) neighbour(payload []byte) error {
	var s view.State
	if known := len(payload) <= maxState && json.Unmarshal(payload, &s) == nil && s.Schema == view.StateSchema; !known || s.Instance == c.instance {
		return nil
	}
	for _, r := range s.Roles {
		if r != role {
			return fmt.Errorf("%w: %s says that a %.64q has it (online: %v), and one node is one process; want a path of its own, such as %s/scoring. "+
				"Where that one is gone for good, clear this topic", ErrNode, c.own.State(), r, s.Online, c.cfg.Path)
		}
	}
	if s.Online && c.settled && slices.Contains(s.Roles, role) && !c.others[s.Instance] {
		c.others[s.Instance] = true
		c.cfg.Complain(fmt.Errorf("%s: another process says that it is this node; end one of them, or give it a path of its own", c.own.State()))
	}
	return nil
}

const (
	maxState = 16 << 10
	maxText  = 512 // of an error in a status, bytes
)

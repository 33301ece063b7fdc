package consumer

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fedmq/fedmq/internal/follow"
	"github.com/fedmq/fedmq/internal/view"
	"github.com/fedmq/fedmq/wire"
)

// ErrNode says that the node is somebody else's.
var ErrNode = errors.New("consumer: the node is not free")

// Times of who has the node (U-1).
const (
	settles  = time.Second     // for what stands on the broker to arrive, before it decides anything
	answers  = 5 * time.Second // for the one that stands there to say that it is
	late     = time.Minute     // for its answer over a slow line, from then on
	together = 2 * time.Second // two that had the node so shortly have come together
)

// maxState bounds the JSON that is looked at.
const maxState = 16 << 10

// node is what is known of who has the consumer's node: one node is one process.
type node struct {
	instance string
	settle   <-chan time.Time // when the next step to have it is due
	rival    string           // instance of a consumer that stood there at the start; "": none
	claimed  bool             // that one was asked whether it is there
	since    time.Time        // when it was had
	others   map[string]bool  // instances of later ones
}

func newNode() node {
	var n wire.Nonce
	_, _ = rand.Read(n[:]) // never fails
	return node{instance: n.String(), others: map[string]bool{}}
}

// settle takes the node. Where another consumer stands as online, which may have ended
// without a word, as with its machine, that one gets a moment to say that it has not.
func (c *consumer) settle() error {
	n := &c.node
	n.settle = nil
	if n.rival != "" && !n.claimed {
		n.claimed, n.settle = true, time.After(answers)
		c.conn.Post(c.state(true))
		return nil
	}
	c.settled, n.since = true, time.Now()
	if c.cfg.Has != nil {
		has, since, err := c.cfg.Has()
		if err != nil {
			return err
		}
		if has != nil {
			c.runs, c.since = &follow.Model{Header: *has}, since
		}
	}
	c.say()
	return nil
}

// neighbour looks at what stands as the presence of this node. A site, or an aggregator,
// has it for its own, also while it is away; a consumer, while it is there.
func (c *consumer) neighbour(payload []byte) error {
	n := &c.node
	var s view.State
	if known := len(payload) <= maxState && json.Unmarshal(payload, &s) == nil && s.Schema == view.StateSchema; !known || s.Instance == n.instance {
		return nil
	}
	for _, r := range s.Roles {
		if r != role {
			return c.notFree(r, s.Online, "/scoring", "Where that one is gone for good, clear this topic")
		}
	}
	switch {
	case !slices.Contains(s.Roles, role):
	case !s.Online && c.settled: // the last word of one that has given way
		c.say()
	case !s.Online && s.Instance == n.rival && n.claimed:
		n.rival, n.settle = "", time.After(0)
	case !s.Online:
		n.rival = ""
	case !c.settled && !n.claimed:
		n.rival = s.Instance
	default:
		return c.contest(s.Instance)
	}
	return nil
}

// contest takes in that another consumer says that it is here now. Who came last ends; of
// two that came together, one. Where one was thought lost, and its connection is back, both
// go on, and say so.
func (c *consumer) contest(other string) error {
	n := &c.node
	had := time.Since(n.since)
	if other == n.rival && (!c.settled || had < late) || n.instance < other && (!c.settled || had < together) {
		return c.notFree(role, true, "-2", "Several tasks of a gateway are as many processes, each with a path")
	}
	if n.others[other] {
		return nil
	}
	n.others[other] = true
	c.cfg.Complain(fmt.Errorf("%s: another process says that it is this node; end that one, or give it a path of its own", c.own.State()))
	if c.settled { // it learns of this one
		c.say()
	}
	return nil
}

func (c *consumer) notFree(who string, online bool, free, more string) error {
	return fmt.Errorf("%w: %s says that a %.64q has it (online: %v), and one node is one process; want a path of its own, such as %s. %s",
		ErrNode, c.own.State(), who, online, c.cfg.Path+free, more)
}

package site

import (
	"context"
	"encoding/json"

	"github.com/fedmq/fedmq/internal/member"
)

// owner is what is known of the node that owns tasks, from its presence. It is
// JSON, which anybody who may write there can forge: it makes the site speak
// sooner, and decides nothing.
type owner struct {
	presence
	heard bool
}

// presence is what a site reads of an aggregator's state.
type presence struct {
	Schema      string   `json:"schema"`
	Online      bool     `json:"online"`
	Instance    string   `json:"instance"`     // of the process
	ConnectedMS int64    `json:"connected_ms"` // of its connection; 0: one of before does not say
	Tasks       []string `json:"tasks"`        // the first hundred
}

// maxState bounds the JSON that is looked at.
const maxState = 16 << 10

// onOwner takes an aggregator's presence in. A connection that was not known says
// that what was sent to the one before may have reached nobody: the broker took
// it before the aggregator had subscribed again (S-41).
func (s *site) onOwner(jobs context.Context, topic string, payload []byte) error {
	var p presence
	if len(payload) > maxState || json.Unmarshal(payload, &p) != nil || p.Schema != StateSchema {
		return nil //nolint:nilerr // of another version, or nobody's: it changes nothing
	}
	if topic == s.tasks[0].owner.State() {
		s.heardFrom.Store(&p.Instance)
	}
	o := s.owners[topic]
	anew := p.Online && (!o.heard || p.Instance != o.Instance || p.ConnectedMS != o.ConnectedMS)
	if p.Online || !o.heard {
		o.heard, o.presence = true, p
	}
	o.Online = p.Online // what it was stays, to tell whether it comes back
	if !anew {
		return nil
	}
	for _, t := range s.tasks {
		if t.owner.State() != topic {
			continue
		}
		for round := range t.sending {
			t.sending[round] = true
		}
		if err := s.step(jobs, t, member.OwnerBack{}); err != nil {
			return err
		}
	}
	return nil
}

package aggregator

import (
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// needEvery is the least time between two publications of one part that
// members have asked for.
const needEvery = 2 * time.Second

// need publishes again the parts of the model that a member could not get.
// What many ask for at once goes out once.
func (t *task) need(path string, m link.Message) {
	h, body, err := t.a.opener.Open(m.Topic, m.Payload, wire.Bound{MaxRound: t.state.Round + 1})
	if err != nil {
		t.refuse(path, h, err)
		return
	}
	n, err := wire.DecodeNeed(body)
	if err != nil {
		t.refuse(path, h, err)
		return
	}
	if !t.machine.Known(path) {
		t.refuse(path, h, &wire.Refusal{Reason: verdict.UnknownMember.String()})
		return
	}
	t.step(round.Heard{Now: t.a.nowMS(), Member: path})
	if s := t.shelf; s != nil && n.Blob == s.key && t.a.up {
		t.a.pub.fill(t, s, s.again(n.Ranges, t.a.nowMS()))
	}
}

package sim

import (
	"github.com/fedmq/fedmq/internal/owner"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// receive passes one message on.
func (a *agg) receive(m message) {
	now := a.now()
	switch b := m.body.(type) {
	case *stateMsg:
		a.m.Step(now, owner.Echo{Own: b == a.said})
		return
	case *presenceMsg:
		a.t.Step(now, owner.MemberShown{Presence: round.Presence{
			Member: a.w.sites[m.topic.a].path, Instance: b.instance, Connection: b.connection, Online: b.online,
		}})
		return
	case *orderMsg:
		if b != a.own[owner.OwnOrder].body {
			a.t.Step(now, owner.OrderShown{Shown: owner.Shown{Stamp: b.Stamp, Base: b.Base, Hash: b.hash}, Instance: b.Instance})
		}
	case *modelMsg:
		if !a.started() {
			a.shown.model = b
			if b.bytes == nil {
				a.t.Step(now, owner.ManifestShown{Blob: b.blob.Key(), Slot: b.slot})
			}
		}
	case *headMsg:
		if !a.started() {
			a.shown.head = b
		}
	}
	if m.topic.kind <= onRecord {
		a.t.Step(now, owner.Seen{Own: ownOf(m.topic.kind), Right: a.own[ownOf(m.topic.kind)].body == m.body})
		return
	}
	if a.started() {
		a.t.Step(now, a.event(a.w.sites[m.topic.a].path, m))
	}
}

// ownOf is which own message a topic holds.
func ownOf(k topicKind) owner.Own {
	return map[topicKind]owner.Own{onModel: owner.OwnModel, onRecord: owner.OwnHead, onOrder: owner.OwnOrder}[k]
}

// event is what a member's message means to the task.
func (a *agg) event(path string, m message) owner.Event {
	switch b := m.body.(type) {
	case *joinMsg:
		return owner.Join{Seen: b.seen, Join: round.Join{
			Member: path, Samples: b.samples, Schema: schema, Instance: b.instance, Disk: b.disk, Counter: b.counter, Digest: b.digest,
		}}
	case *updateMsg:
		return a.update(path, b)
	case *partMsg:
		a.w.check.arrived(a, path, b.Index)
		return owner.Part{Member: path, Part: b.Part, Bytes: len(b.Data)}
	case *needMsg:
		if !a.w.bugs.NeedIgnored {
			return owner.Need{Member: path, Need: b.Need}
		}
	}
	return owner.Tick{} // of no meaning
}

// update is what a contribution means.
func (a *agg) update(path string, b *updateMsg) owner.Event {
	ev := round.Update{
		Member: path, Round: b.round, Attempt: b.attempt, Base: b.base,
		Content: b.content, Samples: b.samples, Bytes: int64(len(b.bytes)),
	}
	_, here := a.t.Round().Stale(b.round)
	switch {
	case b.round > a.state.Round+1, b.decline != "" && b.round != a.state.Round:
		return owner.Tick{} // refused with the envelope, or of no interest
	case b.decline != "":
		return owner.Said{Event: round.Decline{
			Member: path, Round: b.round, Attempt: b.attempt, Reason: b.decline,
			Refused: b.decline == wire.DeclineRefused, Setting: b.decline == wire.DeclineSetting,
		}}
	case !here:
		return owner.Update{Update: ev}
	}
	k := owner.Key{Member: path, Content: b.content}
	at := a.bodies[k]
	if at == nil {
		at = &body{}
		a.bodies[k] = at
	}
	if b.offer {
		at.offer = b
		return owner.Offer{Update: ev, Blob: b.blob}
	}
	at.bytes = b.bytes
	ev.Problem = checked(b.bytes)
	return owner.Update{Update: ev, Held: true}
}

// checked finds what is wrong with an update.
func checked(b []byte) verdict.Reason {
	if len(b) > 0 && b[0] == bad {
		return verdict.NotFinite
	}
	return verdict.None
}

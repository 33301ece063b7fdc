package sim

import (
	"bytes"

	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/internal/verdict"
	"github.com/fedmq/fedmq/wire"
)

// receive routes one message.
func (a *agg) receive(m message) {
	switch b := m.body.(type) {
	case *stateMsg:
		if b == a.own {
			a.echoBy = 0
			a.begin()
		}
		return
	case *orderMsg:
		a.ownOrder(b)
	case *modelMsg:
		if !a.started && b.bytes == nil {
			a.found = found{b.blob.Key(), b.slot}
		}
	}
	if m.topic.kind <= onRecord {
		a.look(m)
		return
	}
	if !a.started {
		return
	}
	path := a.w.sites[m.topic.a].path
	now := a.now()
	switch b := m.body.(type) {
	case *joinMsg:
		a.step(round.Join{
			Member: path, Samples: b.samples, Schema: schema, Instance: b.instance, Disk: b.disk, Counter: b.counter, Digest: b.digest,
		})
	case *updateMsg:
		a.update(path, b)
	case *partMsg:
		a.part(path, b)
	case *needMsg:
		if a.w.bugs.NeedIgnored {
			return
		}
		if a.machine.Known(path) {
			a.step(round.Heard{Member: path})
			a.mender.Need(now, path, b.Need)
		}
	}
}

// ownOrder looks at an order on the own topic: before the start the highest is
// remembered, afterwards a higher one of another process fences.
func (a *agg) ownOrder(b *orderMsg) {
	if b == a.retained[ownOrder].body {
		return
	}
	if !a.started {
		if s := a.seen; s == nil || b.Epoch > s.Epoch || b.Epoch == s.Epoch && b.Round > s.Round {
			a.seen = b
		}
		return
	}
	if b.Epoch > a.state.Epoch || b.Epoch == a.state.Epoch && bytes.Compare(b.Instance[:], a.instance[:]) > 0 {
		a.fencedBy = b.Epoch
		a.step(round.Fenced{Epoch: b.Epoch, Instance: b.Instance})
	}
}

// update passes a contribution to the machine.
func (a *agg) update(path string, b *updateMsg) {
	if b.round > a.state.Round+1 {
		return // refused with the envelope
	}
	ev := round.Update{
		Member: path, Round: b.round, Attempt: b.attempt, Base: b.base,
		Content: b.content, Samples: b.samples, Bytes: int64(len(b.bytes)),
	}
	switch {
	case b.decline != "":
		if b.round == a.state.Round {
			a.step(round.Decline{Member: path, Round: b.round, Attempt: b.attempt, Reason: b.decline, Refused: b.decline == wire.DeclineRefused, Setting: b.decline == wire.DeclineSetting})
		}
	case b.round != a.state.Round:
		a.step(ev)
	case b.offer:
		ev.Offer = true
		a.offers[contentKey{path, b.content}] = &agUpload{offer: b, ev: ev}
		a.step(ev)
	default:
		a.staged[contentKey{path, b.content}] = &staged{content: b.content, samples: b.samples, bytes: b.bytes}
		ev.Problem = checked(b.bytes)
		a.step(ev)
	}
}

// checked finds what is wrong with an update.
func checked(b []byte) verdict.Reason {
	if len(b) > 0 && b[0] == bad {
		return verdict.NotFinite
	}
	return verdict.None
}

// agUpload is an update that comes, or is to come, in parts.
type agUpload struct {
	offer *updateMsg
	ev    round.Update
	stage []byte // nil: it waits
	told  uint32
}

func key(member string) transfer.Key { return transfer.Key{Task: task, Member: member} }

func (a *agg) admit(m round.SendAdmit) {
	up := a.offers[contentKey{m.Member, m.Content}]
	if up == nil || m.Round != a.state.Round || m.Attempt < a.state.ValidFrom {
		return
	}
	k := key(m.Member)
	if had := a.uploads[k]; had != nil {
		up.stage, up.told = had.stage, had.told
	}
	a.uploads[k] = up
	a.recv.Offer(a.now(), transfer.Upload{Key: k, Round: m.Round, Attempt: m.Attempt, Content: up.offer.content, Blob: up.offer.blob, Within: int64(a.state.Order.DeadlineMS), Counted: m.Counted}) // #nosec G115 -- of the plan
}

func (a *agg) part(path string, b *partMsg) {
	k := key(path)
	off, v := a.recv.Part(a.now(), k, b.Part)
	a.w.check.arrived(a, path, b.Index)
	up := a.uploads[k]
	if v != transfer.Wanted || up == nil || up.stage == nil {
		return
	}
	if up.told != a.state.Attempt {
		a.uploading(up, true)
	}
	if off == 0 && checked(b.Data) != verdict.None {
		a.drop(k)
		ev := up.complete()
		ev.Problem = verdict.NotFinite
		a.step(ev)
		return
	}
	copy(up.stage[off:], b.Data)
}

func (up *agUpload) complete() round.Update {
	ev := up.ev
	ev.Offer = false
	return ev
}

func (a *agg) uploading(up *agUpload, on bool) {
	up.told = a.state.Attempt
	a.step(round.Uploading{Member: up.ev.Member, On: on})
}

// drop ends an upload, however far it came.
func (a *agg) drop(k transfer.Key) {
	up := a.uploads[k]
	if up == nil {
		return
	}
	delete(a.uploads, k)
	a.recv.Withdraw(a.now(), k)
	a.w.check.withdrawn(a, k.Member)
	if up.stage != nil {
		a.uploading(up, false)
	}
}

// dropAll ends every upload, by member.
func (a *agg) dropAll() {
	for _, s := range a.w.sites {
		a.drop(key(s.path))
	}
}

// receiveParts does what the receiver owes.
func (a *agg) receiveParts() {
	a.recv.Tick(a.now())
	for a.w.fail == nil {
		rd := a.recv.Ready()
		a.recvAt = rd.Wake
		if len(rd.Release)+len(rd.Admit)+len(rd.Grants)+len(rd.Waits)+len(rd.Complete) == 0 {
			return
		}
		for _, k := range rd.Release {
			if up := a.uploads[k]; up != nil {
				up.stage = nil
			}
		}
		for _, k := range rd.Admit {
			if up := a.uploads[k]; up != nil {
				up.stage = make([]byte, up.offer.blob.Length)
				a.uploading(up, true)
			}
		}
		for _, g := range rd.Grants {
			a.w.check.grants(a, g)
			a.reply(g.Key.Member, g.Reply)
		}
		for _, w := range rd.Waits {
			a.reply(w.Key.Member, w.Reply)
		}
		for _, k := range rd.Complete {
			a.take(k)
		}
	}
}

// take checks a complete upload as a whole and has the machine judge it.
func (a *agg) take(k transfer.Key) {
	up := a.uploads[k]
	a.recv.Done(a.now(), k)
	a.w.check.withdrawn(a, k.Member)
	if up == nil || up.stage == nil {
		return
	}
	delete(a.uploads, k)
	s := &staged{content: up.offer.content, samples: up.offer.samples, bytes: up.stage}
	ev := up.complete()
	if hashOf(s.bytes) != s.content {
		a.w.violate("I7", "the parts of %s are another content than its offer names", k.Member)
		ev.Problem = verdict.Malformed
	} else {
		ev.Problem = checked(s.bytes)
	}
	a.staged[contentKey{k.Member, s.content}] = s
	a.step(ev)
	a.uploading(up, false)
	a.owes()
}

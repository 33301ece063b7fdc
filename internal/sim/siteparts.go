package sim

import (
	"crypto/sha256"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// pull is how a model comes in parts.
type pull struct {
	puller *transfer.Puller
	want   model.Hash
	newest *modelMsg
	target *modelMsg
	broken wire.BlobKey
	in     []byte
	wake   ms
}

func (m *modelMsg) same(o *modelMsg) bool {
	return m != nil && m.content == o.content && m.slot == o.slot && m.blob.Equal(o.blob)
}

func (s *site) onManifest(m *modelMsg) {
	if s.pull.newest.same(m) {
		return
	}
	s.pull.newest = m
	s.aim()
}

// aim sets the puller on what is wanted, or on nothing.
func (s *site) aim() {
	p := &s.pull
	m := p.newest
	if m == nil || m.content != p.want {
		m = p.target
	}
	if p.want.IsZero() || m == nil || m.content != p.want || m.blob.Key() == p.broken {
		s.endPull()
		return
	}
	if p.in == nil || len(p.in) != int(m.blob.Length) { // #nosec G115 -- a few bytes
		p.in = make([]byte, m.blob.Length)
	}
	p.target = m
	p.puller.Want(s.now(), m.blob, m.slot)
	s.pullOn()
}

func (s *site) endPull() {
	s.pull.puller.Drop(s.now())
	s.pull.target, s.pull.in = nil, nil
	s.pullOn()
}

// pullOn does what the puller wants.
func (s *site) pullOn() {
	p := &s.pull
	r := p.puller.Ready()
	p.wake = r.Wake
	if r.Wake > 0 {
		s.p.wakeBy(r.Wake - epoch)
	}
	for _, f := range r.Unsubscribe {
		if !s.w.bugs.KeepSubscribed {
			s.conn.unsubscribe(partTopic(f.Slot, f.Index))
		}
	}
	for _, f := range r.Subscribe {
		s.conn.subscribe(partTopic(f.Slot, f.Index))
	}
	if len(r.Need) > 0 {
		s.conn.post(message{
			topic: topic{kind: onNeed, a: int32(s.i)}, // #nosec G115 -- few sites
			body:  &needMsg{wire.Need{Blob: p.target.blob.Key(), Ranges: r.Need}},
		})
	}
	if r.Done {
		s.pulled()
	}
}

func partTopic(slot, index uint32) topic {
	return topic{kind: onModelPart, a: int32(slot), b: int32(index)} // #nosec G115 -- a few
}

// pulled makes the task's model of the parts.
func (s *site) pulled() {
	p := &s.pull
	m, in := p.target, p.in
	p.in = nil
	if model.Hash(sha256.Sum256(in)) != m.content {
		p.broken = m.blob.Key()
		s.w.violate("I7", "site %d: the parts of %x are another content", s.i, m.content[:4])
		s.endPull()
		return
	}
	s.keepModel(m.content, in)
	s.endPull()
	s.step(member.ModelStored{Model: member.Stored{Content: m.content, Schema: schema}})
}

func (s *site) onPart(t topic, part wire.Part) {
	p := &s.pull
	if p.in == nil {
		return
	}
	off, ok := p.puller.Part(s.now(), part, uint32(t.a), uint32(t.b)) // #nosec G115 -- a few
	if ok {
		copy(p.in[off:], part.Data)
	}
	s.pullOn()
}

// upload is an offered update whose parts were asked for.
type upload struct {
	round  uint64
	lives  int
	offer  *updateMsg
	key    wire.BlobKey
	sender *transfer.Sender
}

func (s *site) onGrant(g member.Granted) {
	up := s.up
	if up == nil || up.round != g.Round || up.key != g.Blob {
		u := s.disk.envelopes[g.Round]
		up = &upload{round: g.Round, offer: u, key: u.blob.Key(), sender: transfer.NewSender(u.blob)}
		s.up = up
	}
	up.sender.Grant(s.now(), g.Epoch, g.Grant)
}

// uploadOn publishes the parts that may go now.
func (s *site) uploadOn() member.Event {
	up := s.up
	if up == nil {
		return nil
	}
	for _, i := range up.sender.Ready() {
		f, ok := s.disk.blobs[up.offer.content]
		off, n := up.offer.blob.Span(int(i))
		if !ok || off+n > len(f.b) || !up.offer.blob.Holds(int(i), f.b[off:off+n]) {
			s.up, s.unreadable = nil, true
			return member.EntryLost{Round: up.round}
		}
		life := up.lives
		s.conn.within(120_000, message{
			topic: topic{kind: onPart, a: int32(s.i)}, // #nosec G115 -- few sites
			body:  &partMsg{partOf(up.offer.blob, up.key, f.b, i)},
		}, func(ok bool) { s.partSent(up, life, i, ok) })
	}
	return nil
}

func (s *site) partSent(up *upload, life int, i uint32, ok bool) {
	if s.up != up || life != up.lives {
		return
	}
	up.sender.Sent(s.now(), i, ok)
	if ok {
		s.step(member.PartTaken{Round: up.round})
		return
	}
	s.step(member.Tick{})
}

// stopUpload forgets an upload whose entry is answered or gone.
func (s *site) stopUpload() {
	if up := s.up; up != nil && !s.m.Uploads(up.round, up.key) {
		s.up = nil
	}
}

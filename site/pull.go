package site

import (
	"context"
	"errors"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// pull is how the model of a task comes in parts (S-21): a transfer.Puller says
// which parts are asked for, a file takes what arrives.
type pull struct {
	puller  *transfer.Puller
	want    model.Hash   // the base that the order in force waits for, zero: none
	newest  *manifest    // verified
	target  *manifest    // the newest of what is wanted, nil: nothing is pulled
	broken  wire.BlobKey // its parts have made another content than its manifest said
	in      incoming     // of the target
	size    uint64       // of in
	wake    ms
	began   ms
	ignored int // parts nobody asked for
}

// manifest is a verified manifest.
type manifest struct {
	wire.Manifest
	is member.Stored // as its header says
}

func (m *manifest) same(o *manifest) bool {
	return m != nil && m.is == o.is && m.Slot == o.Slot && m.Blob.Equal(o.Blob)
}

// onManifest takes a verified manifest. Of the same content in other parts or
// another slot it is a new target: what was there may be overwritten.
func (s *site) onManifest(jobs context.Context, t *task, m *manifest) error {
	if t.pull.newest.same(m) {
		return nil
	}
	t.pull.newest = m
	return s.aim(jobs, t)
}

// aim sets the puller on what is wanted, or on nothing. A pull under way does not
// end because another model is announced: the order that names it may be on its
// way, or the announcement is an old one.
func (s *site) aim(jobs context.Context, t *task) error {
	p, now := &t.pull, s.now()
	m := p.newest
	if m == nil || m.is.Content != p.want {
		m = p.target
	}
	if p.want.IsZero() || m == nil || m.is.Content != p.want || m.Blob.Key() == p.broken {
		return s.endPull(jobs, t)
	}
	if p.in != nil && p.size != m.Blob.Length {
		if err := s.endPull(jobs, t); err != nil {
			return err
		}
	}
	if p.in == nil {
		in, err := s.disk.Receive(int64(m.Blob.Length)) // #nosec G115 -- of a schema: an int
		if err != nil {
			return err
		}
		p.in, p.size, p.began = in, m.Blob.Length, now
	}
	p.target = m
	p.puller.Want(now, m.Blob, m.Slot)
	return s.pullOn(jobs, t)
}

// endPull drops what was received so far.
func (s *site) endPull(jobs context.Context, t *task) error {
	p := &t.pull
	p.puller.Drop(s.now())
	p.target = nil
	if in := p.in; in != nil {
		p.in = nil
		if err := in.Discard(); err != nil {
			return err
		}
	}
	return s.pullOn(jobs, t)
}

// pullOn does what the puller wants.
func (s *site) pullOn(jobs context.Context, t *task) error {
	p := &t.pull
	r := s.pullReady(p)
	for _, f := range r.Unsubscribe {
		s.conn.Unsubscribe(t.owner.ModelPart(int(f.Slot), int(f.Index)))
	}
	for _, f := range r.Subscribe {
		s.conn.Subscribe(link.Filter{Topic: t.owner.ModelPart(int(f.Slot), int(f.Index)), QoS: f.QoS})
	}
	if len(r.Need) > 0 {
		m := p.target
		s.post(t, wire.KindNeed, t.member.Need(), t.m.Seen(), 0, m.is, wire.Need{Blob: m.Blob.Key(), Ranges: r.Need})
		crash.At("need.after")
	}
	if r.Done {
		return s.pulled(jobs, t)
	}
	return nil
}

// pullReady is what the puller wants, of which the cap and the hours let through
// what they do (S-27, S-28).
func (s *site) pullReady(p *pull) transfer.PullReady {
	now, size := s.now(), 0
	if p.target != nil {
		size = int(p.target.Blob.Data) + wire.PartOverhead
	}
	room := s.down.room(now, size)
	if s.shut {
		room = 0
	}
	p.puller.Room(now, room)
	r := p.puller.Ready()
	s.down.take(now, len(r.Subscribe)*size)
	p.wake = r.Wake
	if room >= 0 {
		p.puller.Room(now, 0) // what comes meanwhile asks for nothing
	}
	if at := max(s.down.next(now), now+1); r.Held && !s.shut && (p.wake == 0 || at < p.wake) {
		p.wake = at
	}
	return r
}

// pulled makes the task's model of the parts, which are all there. That they
// are the content which the header named shows now: if not, this manifest is not
// tried again.
func (s *site) pulled(jobs context.Context, t *task) error {
	p := &t.pull
	m, in := p.target, p.in
	p.in = nil
	err := s.disk.KeepModel(t.Name, m.is.Content, m.Schema, in)
	if errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrDisk) {
		p.broken = m.Blob.Key()
		why := &wire.Refusal{Reason: wire.ReasonWrongBase, Stage: wire.StageSchema, Detail: "the parts are not the content that the manifest names"}
		s.refused.add(s.now(), t.owner.Model(), why)
		s.complain(route{t, topics.Model}, why.Reason)
		return s.endPull(jobs, t)
	}
	if err != nil {
		return err
	}
	crash.At("model.verified")
	s.cfg.Log.Info().Str("task", t.Name).Uint64("bytes", m.Blob.Length).Int("parts", m.Blob.Count()).
		Int64("ms", s.now()-p.began).Int("ignored", p.ignored).Msg("model received")
	p.ignored = 0
	s.auditModel(t, m.is.Content, int64(m.Blob.Length)) // #nosec G115 -- of a schema: an int
	if err := s.endPull(jobs, t); err != nil {
		return err
	}
	return s.step(jobs, t, member.ModelStored{Model: m.is})
}

// leave drops what was received so far of all models.
func (s *site) leave() error {
	var errs []error
	for _, t := range s.tasks {
		if in := t.pull.in; in != nil {
			t.pull.in = nil
			errs = append(errs, in.Discard())
		}
	}
	return errors.Join(errs...)
}

// onPart takes a part of a model, if it was asked for and its hash is right.
// Others are counted: late ones and those of a slot that was written over are
// nothing unusual.
func (s *site) onPart(jobs context.Context, m link.Message) error {
	at, err := s.ns.Parse(m.Topic)
	if err != nil || at.Kind != topics.ModelPart {
		return nil //nolint:nilerr // a topic that was not asked for
	}
	for _, t := range s.tasks {
		if t.Name == at.Task && t.Owner == at.Path {
			return s.takePart(jobs, t, at, m)
		}
	}
	return nil
}

func (s *site) takePart(jobs context.Context, t *task, at topics.Topic, m link.Message) error {
	p := &t.pull
	if p.in == nil {
		p.ignored++
		return nil
	}
	part, err := wire.DecodePart(m.Payload, wire.MaxPart)
	if refusal, ok := errors.AsType[*wire.Refusal](err); ok {
		s.refused.add(s.now(), t.owner.Model(), refusal)
		p.puller.Spoilt(s.now(), uint32(at.Slot), uint32(at.Part)) // #nosec G115 -- below 4,000
		return s.pullOn(jobs, t)
	}
	off, ok := p.puller.Part(s.now(), part, uint32(at.Slot), uint32(at.Part)) // #nosec G115 -- below 4,000
	if !ok {
		p.ignored++
		return s.pullOn(jobs, t)
	}
	if _, err := p.in.WriteAt(part.Data, int64(off)); err != nil {
		return err
	}
	crash.At("model.part-k")
	t.behind = true
	return s.pullOn(jobs, t)
}

// pullLink tells the puller of the link. Without one it gives up what it has
// subscribed to, and asks the next connection for what is missing then.
func (s *site) pullLink(jobs context.Context, t *task, up bool) error {
	p := &t.pull
	if up {
		p.puller.Connected(s.now())
	} else {
		p.puller.Disconnected(s.now())
	}
	return s.pullOn(jobs, t)
}

package site

import (
	"cmp"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// released is the version that a task has released, as far as a site that trains it for itself
// has come with it. The zero value: none was heard.
type released struct {
	origin         wire.Nonce // of the task
	epoch, version uint64
	is             member.Stored
	from           topics.Owner // its topics
	manifest       *wire.Manifest
	model          *model.Model // that came; nil: at hand, or in parts
	lost           bool         // it was at hand, and is not any more
	over           bool         // all is done with it
	note           string       // why there is nothing to use, or what it waits for
	pull           *pulling     // its parts; nil: none are asked for
}

// pulling is a released version whose parts are asked for.
type pulling struct {
	puller *transfer.Puller
	blob   wire.BlobKey
	in     incoming
	wake   ms
}

// hearReleased subscribes to what the task releases, where the site trains it for itself.
func (s *site) hearReleased(t *task, places []topics.Owner) {
	if t.Personalise == nil {
		return
	}
	for _, at := range places {
		topic := at.Released().Model()
		s.routes[topic] = route{t, topics.Released}
		s.conn.Subscribe(link.Filter{Topic: topic, QoS: 1})
	}
}

// onReleased takes the version that the task has released.
func (s *site) onReleased(t *task, m link.Message) error {
	h, body, err := s.opener.Open(m.Topic, m.Payload, wire.Bound{})
	if err != nil {
		return err
	}
	if o := t.m.Origin(); !o.IsZero() && h.Origin != o {
		return nil // of a former life of the task
	}
	was, is := &t.released, member.Stored{Content: h.Base, Schema: h.Schema}
	p := t.left().Personal
	if older(h, was.epoch, was.version) || p != nil && older(h, p.Epoch, p.Version) {
		return nil
	}
	if was.is == is && was.version == h.Round && was.manifest == nil {
		was.epoch = h.Epoch
		return nil
	}
	d, err := wire.DecodeModel(body, s.opener.Limits)
	if err == nil {
		err = d.Matches(h)
	}
	if err != nil {
		return err
	}
	if t.contract == nil {
		t.agreed(d)
	}
	now := released{origin: h.Origin, epoch: h.Epoch, version: h.Round, is: is, from: s.placeOf(t, m.Topic)}
	if was.is == is {
		now.over, now.note, now.lost, now.pull, now.model = was.over, was.note, was.lost, was.pull, was.model
	} else if err := s.dropOwn(t); err != nil {
		s.fail(err)
	}
	switch d := d.(type) {
	case wire.Model:
		now.model = d.Tensors
	case wire.Manifest:
		now.manifest = &d
	}
	t.released = now
	s.ownAsMade(t)
	t.changed = true
	return nil
}

func older(h wire.Header, epoch, version uint64) bool {
	return cmp.Or(cmp.Compare(h.Epoch, epoch), cmp.Compare(h.Round, version)) < 0
}

// placeOf are the topics of a task's released version, one of which a message came on.
func (s *site) placeOf(t *task, topic string) topics.Owner {
	places, _ := t.owner.Places() // checked
	for _, at := range places {
		if at.Released().Model() == topic {
			return at.Released()
		}
	}
	return t.owner.Released()
}

// ownAsMade takes what was made of the released version before, if it was made as the site is
// to make it now.
func (s *site) ownAsMade(t *task) {
	f, r := t.left(), &t.released
	p := f.Personal
	if p == nil || p.Base != r.is.Content || p.By != t.Personalise.withDefaults() {
		return
	}
	r.over, r.model, r.note = true, nil, ""
	if p.Version != r.version || p.Epoch != r.epoch {
		again := *p
		again.Version, again.Epoch = r.version, r.epoch
		f.Personal = &again
		s.setFeedback(t, f)
	}
}

// ownAnew forgets what a former life of the task has released.
func (s *site) ownAnew(t *task) error {
	if t.Personalise == nil {
		return nil
	}
	err := s.dropOwn(t)
	t.released = released{}
	places, _ := t.owner.Places() // checked
	for _, at := range places {
		s.conn.Resubscribe(at.Released().Model()) // that of this life may have come before its order
	}
	return err
}

// linked follows the connection.
func (r *released) linked(now ms, up bool) {
	switch {
	case r.pull == nil:
	case up:
		r.pull.puller.Connected(now)
	default:
		r.pull.puller.Disconnected(now)
	}
}

// dropOwn forgets what was received of a released version, and ends what is made of it.
func (s *site) dropOwn(t *task) error {
	if a := s.running; a != nil && a.own && a.task == t {
		a.stop()
	}
	p := t.released.pull
	if t.released.pull = nil; p == nil {
		return nil
	}
	p.puller.Drop(s.now())
	s.askReleased(t, p.puller.Ready())
	return p.in.Discard()
}

// pullReleased asks for the parts of what was released, where they are needed, as the cap and the
// hours let it (S-27, S-28).
func (s *site) pullReleased(t *task) error {
	r := &t.released
	if r.over || r.manifest == nil || r.model != nil || !s.online && r.pull == nil || !r.lost && r.pull == nil && t.m.Has(r.is) {
		return nil
	}
	now, size := s.now(), int(r.manifest.Blob.Data)+wire.PartOverhead
	if r.pull == nil {
		in, err := s.makeRoom(int(r.manifest.Blob.Length)) // of a schema: an int
		if err != nil {
			return err
		}
		r.pull = &pulling{puller: transfer.NewPuller(), in: in}
		r.pull.puller.Connected(now)
	}
	p := r.pull
	p.blob = r.manifest.Blob.Key()
	p.puller.Want(now, r.manifest.Blob, r.manifest.Slot, wire.Blob{})
	room := s.line.Room(now, size)
	if s.shut {
		room = 0
	}
	p.puller.Room(now, room)
	rd := p.puller.Ready()
	s.line.Take(now, len(rd.Subscribe)*size)
	if room >= 0 {
		p.puller.Room(now, 0)
	}
	p.wake = 0
	if !s.shut && (rd.Wake != 0 || rd.Held) {
		p.wake = max(s.line.Next(now), now+1)
		if !rd.Held {
			p.wake = max(p.wake, rd.Wake)
		}
	}
	s.askReleased(t, rd)
	if len(rd.Need) > 0 && !s.shut {
		if err := s.sendOne(t, member.SendNeed{Seen: t.m.Seen(), Is: r.is, Need: wire.Need{Blob: p.blob, Ranges: rd.Need}}); err != nil {
			return err
		}
	}
	if rd.Done {
		return s.assembleReleased(t)
	}
	return nil
}

// askReleased follows which of its parts are asked for.
func (s *site) askReleased(t *task, rd transfer.PullReady) {
	from := t.released.from
	for _, f := range rd.Unsubscribe {
		s.conn.Unsubscribe(from.ModelPart(int(f.Slot), int(f.Index)))
	}
	for _, f := range rd.Subscribe {
		s.conn.Subscribe(link.Filter{Topic: from.ModelPart(int(f.Slot), int(f.Index)), QoS: f.QoS})
	}
}

// onReleasedPart takes a part, while they are asked for.
func (s *site) onReleasedPart(at topics.Topic, m link.Message) {
	t := s.taskAt(at)
	if t == nil || t.released.pull == nil {
		return
	}
	p, slot, index := t.released.pull, uint32(at.Slot), uint32(at.Part) // below 4,000
	part, err := wire.DecodePart(m.Payload, wire.MaxPart)
	if err != nil {
		p.puller.Spoilt(s.now(), slot, index)
		return
	}
	if off, ok := p.puller.Part(s.now(), part, slot, index); ok {
		if _, err := p.in.WriteAt(part.Data, int64(off)); err != nil {
			s.fail(err)
		}
	}
}

// assembleReleased takes the parts for what they are.
func (s *site) assembleReleased(t *task) error {
	r := &t.released
	p := r.pull
	id := p.puller.Content()
	p.puller.Drop(s.now())
	r.pull = nil
	if id != r.is.Content {
		r.over, r.note = true, "its parts are another model than its header says"
		s.cfg.Log.Warn().Str("task", t.Name).Uint64("version", r.version).Msg("the released version is not used: " + r.note)
		return p.in.Discard()
	}
	b, stored, err := p.in.Commit(id)
	if err != nil {
		return err
	}
	r.model = &model.Model{Schema: r.manifest.Schema, Blob: b}
	if stored {
		s.later(t, change{Gone: []model.Hash{id}})
	}
	return r.model.Check()
}

// fail has the site end with an error of its disk.
func (s *site) fail(err error) { s.beside(func() error { return err }) }

package site

import (
	"errors"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// receive takes in what came of a model in parts, and asks for more (S-21).
func (s *site) receive(t *task, r member.Ready) error {
	if err := t.write(r.Write); err != nil {
		return err
	}
	if r.Discard {
		if err := t.dropReceived(); err != nil {
			return err
		}
	}
	if r.Receive > 0 {
		in, err := s.makeRoom(int(r.Receive)) // of a schema: an int
		if err != nil {
			return err
		}
		t.in = in
	}
	if r.Copy != nil {
		if err := s.copySame(t, *r.Copy); err != nil {
			return err
		}
	}
	if r.Assemble != nil {
		if err := s.assemble(t, r.Assemble); err != nil {
			return err
		}
	}
	s.askFor(t, r)
	return nil
}

// askFor follows which parts are asked for.
func (s *site) askFor(t *task, r member.Ready) {
	s.follow(t)
	for _, f := range r.Unsubscribe {
		topic := t.models.ModelPart(int(f.Slot), int(f.Index))
		s.conn.Unsubscribe(topic)
		delete(t.parts, topic)
	}
	for _, f := range r.Subscribe {
		topic := t.models.ModelPart(int(f.Slot), int(f.Index))
		s.conn.Subscribe(link.Filter{Topic: topic, QoS: f.QoS})
		t.parts[topic] = true
	}
}

// follow has models come from where the order in force says (S-49). What was asked for
// elsewhere is asked for there when it does not come.
func (s *site) follow(t *task) {
	at, err := t.owner.Below(t.m.Bulk())
	if err != nil || at.Model() == t.models.Model() {
		return
	}
	for topic := range t.parts {
		s.conn.Unsubscribe(topic)
	}
	clear(t.parts)
	t.models = at
}

// assemble makes the task's model of the parts, which are all there. That they are
// the content which the header named shows now.
func (s *site) assemble(t *task, a *member.Assemble) error {
	in := t.in
	t.in = nil
	if t.m.Received() != a.Is.Content {
		s.refuseModel(t, a)
		return in.Discard()
	}
	b, stored, err := in.Commit(a.Is.Content)
	if errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrDisk) {
		s.refuseModel(t, a)
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.hold(t, a.Is, &model.Model{Schema: a.Schema, Blob: b}, &a.Blob, stored); err != nil {
		return err
	}
	crash.At("model.verified")
	s.cfg.Log.Info().Str("task", t.Name).Uint64("bytes", a.Blob.Length).Int("parts", a.Blob.Count()).Int("at_hand", a.Copied).
		Int64("ms", s.now()-a.Began).Int("ignored", a.Ignored).Msg("model received")
	s.auditModel(t, a.Is.Content, int64(a.Blob.Length)) // of a schema: an int
	s.tell(t, member.ModelStored{Model: a.Is})
	return nil
}

// copyBlock is how much is copied at a time.
const copyBlock = 1 << 20

// copySame takes from the model at hand what the one that is received has in common
// with it. What cannot be read is left out: that the whole is another content then has
// all of it fetched (TR-71).
func (s *site) copySame(t *task, c member.Copy) error {
	if t.writing != nil {
		<-t.writing.done
	}
	b := make([]byte, copyBlock)
	for _, p := range c.Same {
		for at := 0; at < p.N; at += len(b) {
			part := b[:min(len(b), p.N-at)]
			err := s.disk.Part(c.Of, part, int64(p.From+at))
			if err != nil && isGone(err) {
				s.cfg.Log.Warn().Err(err).Str("task", t.Name).Msg("the model at hand cannot be read; the next one is fetched whole")
				return nil
			}
			if err != nil {
				return err
			}
			if _, err := t.in.WriteAt(part, int64(p.To+at)); err != nil {
				return err
			}
			t.m.Copied(p.To+at, part)
		}
	}
	return nil
}

// refuseModel notes that the parts are not what their manifest said, or what was at
// hand is not what was stored.
func (s *site) refuseModel(t *task, a *member.Assemble) {
	if a.Copied > 0 {
		s.cfg.Log.Warn().Str("task", t.Name).Int("at_hand", a.Copied).Msg("the parts and what was at hand make another content; the model is fetched whole")
		s.tell(t, member.ModelBroken{})
		return
	}
	why := &wire.Refusal{Reason: wire.ReasonWrongBase, Stage: wire.StageSchema, Detail: "the parts are not the content that the manifest names"}
	s.unverified.add(s.now(), t.models.Model(), why)
	t.complain(topics.Model, why.Reason)
	s.tell(t, member.ModelBroken{})
}

// dropReceived drops what was received so far of all models.
func (s *site) dropReceived() error {
	var errs []error
	for _, t := range s.tasks {
		errs = append(errs, t.dropReceived())
		if p := t.released.pull; p != nil {
			errs = append(errs, p.in.Discard())
		}
	}
	return errors.Join(errs...)
}

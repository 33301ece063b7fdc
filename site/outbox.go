package site

import (
	"fmt"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// madeAgain is what becomes of an update that the disk has lost.
const madeAgain = "the update cannot be read back and is made again"

// readEntry reads back what an entry's offer says that its parts are. An entry that
// cannot be read is lost, and so is one of an older fedmq, which named its content by
// another kind of id.
func (s *site) readEntry(t *task, e *member.Entry) error {
	_, c, err := s.reopen(t, e.Round, e.Bulk)
	if err != nil && !isGone(err) {
		return err
	}
	if offer, ok := c.(wire.Offer); ok && err == nil && e.Blob == offer.Blob.Key() {
		e.Parts = offer.Blob
		return nil
	}
	if u, ok := c.(wire.Update); ok && err == nil && e.Content == u.Content() {
		return nil
	}
	s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", e.Round).Err(err).Msg(madeAgain)
	s.tell(t, member.EntryLost{Round: e.Round})
	return nil
}

// readBack reads an update of the outbox back, with its tensors.
func (s *site) readBack(t *task, round uint64) (wire.Header, wire.Update, error) {
	e, _ := t.m.Entry(round)
	e.Round = round
	return s.readEntryBack(t, e)
}

// readEntryBack does so for an entry that the machine may have dropped.
func (s *site) readEntryBack(t *task, e member.Entry) (wire.Header, wire.Update, error) {
	round := e.Round
	h, c, err := s.reopen(t, round, e.Bulk)
	if err != nil {
		return h, wire.Update{}, err
	}
	switch c := c.(type) {
	case wire.Update:
		return h, c, nil
	case wire.Offer:
		u := wire.Update{Samples: c.Samples, Metrics: c.Metrics, Tensors: &model.Model{Schema: c.Schema}, UpdateMembers: c.UpdateMembers}
		u.Tensors.Blob, err = s.disk.Update(c.Content)
		return h, u, err
	}
	return h, wire.Update{}, fmt.Errorf("site: task %s: the entry of round %d is not an update", t.Name, round)
}

// reopen opens an envelope of the outbox that was sealed for a root of bulk, which may
// be none that is still accepted.
func (s *site) reopen(t *task, round uint64, root string) (wire.Header, wire.Contribution, error) {
	b, err := s.envelopeOf(t, round)
	if err != nil {
		return wire.Header{}, nil, err
	}
	own := wire.Opener{Limits: wire.Limits{Part: wire.MaxPart}}
	if own.NS, err = s.ns.WithBulk(root); err != nil {
		return wire.Header{}, nil, err
	}
	topic, err := own.NS.Build(topics.Topic{Kind: topics.Update, Bulk: root, Path: s.cfg.Member, Task: t.Name})
	if err != nil {
		return wire.Header{}, nil, err
	}
	h, body, err := own.Open(topic, b, wire.Bound{})
	if err != nil {
		return h, nil, err
	}
	c, err := wire.DecodeUpdate(body, nil)
	return h, c, err
}

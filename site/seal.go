package site

import (
	"errors"
	"fmt"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// seal puts updates into the outbox.
func (s *site) seal(t *task, r member.Ready) error {
	if r.Seal != nil {
		ev, err := s.sealResult(t, *r.Seal)
		if err != nil {
			return err
		}
		s.tell(t, ev)
	}
	if r.Reseal != nil {
		ev, err := s.reseal(t, *r.Reseal)
		if err != nil {
			return err
		}
		s.tell(t, ev)
	}
	return nil
}

// sealResult puts a finished job's result into the outbox. It answers with
// member.EntryStored, or member.Unsealed when there is nothing that could be sent.
func (s *site) sealResult(t *task, w member.Seal) (member.Event, error) {
	r := t.result
	t.result = nil
	if r == nil || r.id != w.ID {
		return member.Unsealed{ID: w.ID, Reason: wire.DeclineFailed, Detail: "the result is gone"}, nil
	}
	u := r.update(t.samples)
	to, err := t.member.Below(w.Bulk)
	if err != nil {
		return nil, err
	}
	h := s.header(t, wire.KindUpdate, to.Update(), w.Stamp)
	h.Base, h.Schema, h.Encoding = w.Base, w.Schema, wire.EncodingDense
	if r.zstd {
		h.Encoding = wire.EncodingDenseZstd
	}
	e := member.Entry{Round: w.Stamp.Round, Attempt: w.Stamp.Attempt, Base: w.Base, Work: w.Work, Bulk: w.Bulk, Control: r.control, Late: w.Late}
	if err := s.keepOwn(t, r); err != nil {
		return nil, err
	}
	if err := s.keepLeft(t, r, w.Stamp.Round); err != nil {
		return nil, err
	}
	err = s.put(t, &e, h, u, r.leaves, int(w.PartSize))
	if no, ok := errors.AsType[unfit](err); ok && no.reason == wire.DeclineTooLarge && len(u.Counts) > 0 {
		s.cfg.Log.Warn().Str("task", t.Name).Int("bytes", len(u.Counts)).Str("detail", no.detail).
			Msg("the update is too large with the counts of its classes: they are not sent; a larger part_size at the aggregator takes them")
		u.Counts = nil
		err = s.put(t, &e, h, u, r.leaves, int(w.PartSize))
	}
	if err == nil {
		s.auditUpdate(t, e, u)
	}
	if no, ok := errors.AsType[unfit](err); ok {
		s.forgetLeft(t, w.Stamp.Round)
		return member.Unsealed{ID: w.ID, Reason: no.reason, Detail: no.Error()}, nil
	}
	return member.EntryStored{Entry: e}, err
}

// update is what the job has left, as it is sent.
func (r result) update(samples int) wire.Update {
	u := wire.Update{Samples: uint64(max(samples, 0)), Metrics: r.metrics, Tensors: r.tensors}
	u.Counts, u.Scalars, u.Encoding = r.packed, r.scalars, r.encoding
	return u
}

// reseal puts an entry into the outbox for smaller messages (S-26) or another topic
// (S-49): the content and all that was said of it stay, what changes is how it is cut
// and where it goes.
func (s *site) reseal(t *task, w member.Reseal) (member.Event, error) {
	e, ok := t.m.Entry(w.Round)
	if !ok {
		return nil, fmt.Errorf("site: task %s: no entry of round %d", t.Name, w.Round)
	}
	h, u, err := s.readBack(t, w.Round)
	switch {
	case err != nil && isGone(err):
		s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", w.Round).Err(err).Msg(madeAgain)
		return member.EntryLost{Round: w.Round}, nil
	case err != nil:
		return nil, err
	}
	to, err := t.member.Below(w.Bulk)
	if err != nil {
		return nil, err
	}
	h.Topic, e.Bulk = to.Update(), w.Bulk
	err = s.put(t, &e, h, u, nil, int(w.PartSize))
	if no, ok := errors.AsType[unfit](err); ok {
		return member.EntryStuck{Round: w.Round, Detail: no.Error()}, nil
	}
	return member.EntryStored{Entry: e}, err
}

// unfit is why an update cannot be sent at all.
type unfit struct{ reason, detail string }

func (u unfit) Error() string { return u.detail }

// put seals an update for messages of at most partSize bytes, inline or as an
// offer, and puts it into the outbox, bytes first (S-22); leaves are those of its tensors,
// nil where they are not known. It fails with unfit, or as the disk does; else e says what
// is stored.
func (s *site) put(t *task, e *member.Entry, h wire.Header, u wire.Update, leaves model.Leaves, partSize int) error {
	if partSize <= 0 {
		partSize = wire.DefaultPart
	}
	if t.unsaved.Entry != nil { // nobody has told its fate: it is not to be written over
		if err := s.flush(t); err != nil {
			return err
		}
	}
	if u.Tensors != nil && len(u.Tensors.Blob) > partSize {
		return s.putOffer(t, e, h, u, leaves, partSize)
	}
	u.Length = 0
	h, b, err := s.inline(h, u)
	switch {
	case err != nil: // what the trainer calls its metrics, say
		return unfit{wire.DeclineFailed, err.Error()}
	case len(b) <= partSize:
		e.Content, e.Blob, e.Parts, e.PartSize = u.Content(), wire.BlobKey{}, wire.Blob{}, uint32(len(b)) // at most MaxPart
		return s.putEntry(t, h, *e, b)
	case u.Tensors == nil:
		return unfit{wire.DeclineTooLarge, fmt.Sprintf("%d bytes, a message may have %d", len(b), partSize)}
	}
	return s.putOffer(t, e, h, u, leaves, partSize)
}

// inline is the envelope of an update in one message. Where its body may be one zstd frame
// (W-19) it is that or the body as it is, whatever is shorter.
func (s *site) inline(h wire.Header, u wire.Update) (wire.Header, []byte, error) {
	plain := h
	plain.Encoding = wire.EncodingDense
	b, err := s.envelope(plain, u)
	if err != nil || h.Encoding == wire.EncodingDense {
		return plain, b, err
	}
	if packed, err := s.envelope(h, u); err != nil || len(packed) < len(b) {
		return h, packed, err
	}
	return plain, b, nil
}

// putOffer is put for what goes in parts.
func (s *site) putOffer(t *task, e *member.Entry, h wire.Header, u wire.Update, leaves model.Leaves, partSize int) error {
	n := len(u.Tensors.Blob)
	if leaves == nil {
		leaves = model.LeavesOf(u.Tensors.Blob)
	}
	blob, err := wire.Cut(n, leaves, partSize)
	if err != nil {
		return unfit{wire.DeclineTooLarge, err.Error()}
	}
	offer := wire.Offer{Samples: u.Samples, Metrics: u.Metrics, Schema: u.Tensors.Schema, Content: leaves.ID(n), Blob: blob, UpdateMembers: u.UpdateMembers}
	h.Encoding = wire.EncodingDense
	if offer.Length = 0; offer.Encoding != "" {
		offer.Length = blob.Length
	}
	b, err := s.envelope(h, offer)
	if err != nil {
		return unfit{wire.DeclineFailed, err.Error()}
	}
	if len(b) > partSize {
		return unfit{wire.DeclineTooLarge, fmt.Sprintf("an offer of %d bytes for %d parts, a message may have %d", len(b), blob.Count(), partSize)}
	}
	e.Content, e.Blob, e.Parts, e.PartSize = offer.Content, blob.Key(), blob, uint32(partSize) // at most MaxPart
	if err := s.writeUpdate(t, h, *e, u.Tensors.Blob); err != nil {
		return err
	}
	return s.putEntry(t, h, *e, b)
}

// writeUpdate writes the bytes of an update that goes in parts, and has them synced:
// beside, if the update can be made again (S-22).
func (s *site) writeUpdate(t *task, h wire.Header, e member.Entry, b []byte) error {
	id := e.Content
	if err := s.disk.Write(id, b); err != nil {
		return err
	}
	crash.At("update.written")
	for _, o := range s.tasks {
		o.update = outgoing{}
	}
	t.update = outgoing{id, b, new(int)}
	s.beside(func() error { collect(len(b)); return nil }) // the trainer's model
	if t.plain(h, e) {
		s.syncLater(id)
		return nil
	}
	return s.disk.Sync(id)
}

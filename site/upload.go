package site

import (
	"context"
	"errors"

	"github.com/rs/zerolog"

	"github.com/fedmq/fedmq/internal/crash"
	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/store"
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/wire"
)

// upload is an offered update whose parts were asked for (S-24).
type upload struct {
	round  uint64
	lives  int // links this upload has seen
	offer  wire.Offer
	key    wire.BlobKey
	sender *transfer.Sender
}

// partSent tells that the publish of a part has ended.
type partSent struct {
	task  *task
	up    *upload
	life  int // of the link that carried it
	index uint32
	err   error
}

// onGrant gives a grant to the sender of its upload. The machine has found it to
// be for an entry of the outbox, by this aggregator.
func (s *site) onGrant(t *task, g member.Granted) error {
	up := t.upload
	if up == nil || up.round != g.Round || up.key != g.Blob {
		offer, err := s.offered(t, g.Round)
		if err != nil {
			return err
		}
		up = &upload{round: g.Round, offer: offer, key: offer.Blob.Key(), sender: transfer.NewSender(offer.Blob)}
		t.upload = up
	}
	if up.sender.Grant(s.now(), g.Epoch, g.Grant) {
		t.behind = true
	}
	return nil
}

// offered reads the offer of an entry back.
func (s *site) offered(t *task, round uint64) (wire.Offer, error) {
	_, c, err := s.reopen(t, round)
	if err != nil {
		return wire.Offer{}, err
	}
	offer, ok := c.(wire.Offer)
	if !ok {
		return wire.Offer{}, errors.New("site: task " + t.Name + ": an entry of the outbox is not the offer it is said to be")
	}
	return offer, nil
}

// reopen opens an envelope of the outbox.
func (s *site) reopen(t *task, round uint64) (wire.Header, wire.Contribution, error) {
	b, err := s.disk.Envelope(t.Name, round)
	if err != nil {
		return wire.Header{}, nil, err
	}
	own := wire.Opener{NS: s.ns, Limits: wire.Limits{Part: wire.MaxPart}}
	h, body, err := own.Open(t.member.Update(), b, wire.Bound{})
	if err != nil {
		return h, nil, err
	}
	c, err := wire.DecodeUpdate(body, nil)
	return h, c, err
}

// uploadOn publishes the parts that may go now, each read from the file when
// its turn comes. It returns the event that follows when one cannot be read.
func (s *site) uploadOn(jobs context.Context, t *task) (member.Event, error) {
	t.paced = 0
	up := t.upload
	if up == nil {
		return nil, nil
	}
	for _, i := range s.uploadReady(t) {
		off, n := up.offer.Blob.Span(int(i))
		data := s.room(n)
		err := s.disk.Part(up.offer.Content, data, int64(off))
		switch {
		case errors.Is(err, store.ErrDisk):
			return nil, err
		case err != nil || !up.offer.Blob.Holds(int(i), data):
			s.cfg.Log.Warn().Str("task", t.Name).Uint64("round", up.round).Uint32("part", i).Err(err).Msg("the update cannot be read back and is made again")
			t.upload = nil
			return member.EntryLost{Round: up.round}, nil
		}
		b := wire.AppendPart(make([]byte, 0, n+wire.PartOverhead), wire.Part{Blob: up.key, Index: i, Count: uint32(up.offer.Blob.Count()), Data: data}) // #nosec G115 -- at most 4,000
		life := up.lives
		s.goes.Go(func() {
			err := s.publish(jobs, link.Message{Topic: t.member.Part(), Payload: b, QoS: 1})
			select {
			case s.parts <- partSent{t, up, life, i, err}:
			case <-jobs.Done():
			}
		})
	}
	return nil, nil
}

// room is where a part is read before its message is made of it.
func (s *site) room(n int) []byte {
	if cap(s.scratch) < n {
		s.scratch = make([]byte, n)
	}
	return s.scratch[:n]
}

// uploadReady is which parts may leave now (S-27, S-28).
func (s *site) uploadReady(t *task) []uint32 {
	now, up := s.now(), t.upload
	size := int(up.offer.Blob.Data) + wire.PartOverhead
	room := s.up.room(now, size)
	switch {
	case s.shut:
		return nil
	case room < 0:
		return up.sender.Ready()
	}
	next := up.sender.Next(room)
	s.up.take(now, len(next)*size)
	if up.sender.Held() {
		t.paced = max(s.up.next(now), now+1)
	}
	return next
}

// onPartSent takes the outcome of a part's publish. An unknown one is no
// success: the aggregator asks for what it has not got.
func (s *site) onPartSent(jobs context.Context, e partSent) error {
	t := e.task
	if e.err != nil {
		s.unsent(zerolog.DebugLevel, t, "part", e.up.round, e.err) // eight at once when a link is lost, which is logged
	}
	if t.upload != e.up || e.life != e.up.lives {
		return nil // its grant was void when the link was lost
	}
	e.up.sender.Sent(s.now(), e.index, e.err == nil)
	if e.err == nil {
		crash.At("part-k.after")
		t.behind = true
		return s.step(jobs, t, member.PartTaken{Round: e.up.round})
	}
	return s.step(jobs, t, member.Tick{})
}

// dropGrants voids what was granted: the link is lost (S-24).
func (t *task) dropGrants() {
	if t.upload != nil {
		t.upload.lives++
		t.upload.sender.Disconnected()
	}
}

// stopUpload forgets an upload whose entry is answered or gone.
func (t *task) stopUpload() {
	if up := t.upload; up != nil && !t.m.Uploads(up.round, up.key) {
		t.upload = nil
	}
}

// Package follow reads a task's models from the broker as a site does: inline,
// or by pulling the parts that a manifest names. It publishes nothing.
//
// Start with [New] and [Follower.Next] on a connection that is up, or with
// [Fetch] where the manifest is at hand.
package follow

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/fedmq/fedmq/internal/link"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/topics"
	"github.com/fedmq/fedmq/wire"
)

// askAgainEvery is how often the model is asked for while it is followed: a
// live message can be lost, a subscription asks again.
const askAgainEvery = time.Minute

// At is where a task's models are: a connection whose messages and states nobody
// else reads, and the task's topics.
type At struct {
	Conn  *link.Conn
	NS    topics.Namespace
	Owner topics.Owner
}

// Model is a whole model as it stood on the broker.
type Model struct {
	Header wire.Header
	Model  *model.Model
	Parts  int // 0: inline

	BeganMS uint64 // of a canary: since when it is one

	// Contract says what the model means by its inputs and its output, canonical JSON; nil if
	// that is not known, or its message had no room for it.
	Contract []byte
}

// Follower follows a task's model. The connection is subscribed to the model's
// topic. [Follower.Next] waits for a model; who has more to wait for tells the follower
// what comes, and asks what is owed.
type Follower struct {
	Opener   *wire.Opener                          // of the owner's messages
	Largest  uint64                                // bytes of a model; more are refused
	Complain func(error) error                     // what to do about a message that is refused: end with an error, or nil
	Progress func(version uint64, have, count int) // of a pull; nil: nobody looks

	at   At
	pull *pull
	wake int64  // when the puller wants its tick
	from place  // what all obey
	can  place  // and a canary
	path string // that the canary's filters may match; "": none is obeyed
	on   *place // of the model that is pulled, or was whole last
	of   key    // which one it is
	here bool   // it is whole
	due  *Model // and not taken yet

	given bool      // a model was taken
	canAt time.Time // when the broker was asked for the canary; zero: what stands is known
}

// place is a topic of models.
type place struct {
	owner  topics.Owner
	stands *standing   // nil: nothing
	newest wire.Header // of those that were whole here
	any    bool
}

// standing is what a topic says, proven.
type standing struct {
	header wire.Header
	body   wire.Distribution
}

// key names a model: the same content may be another version, and a canary again.
type key struct {
	version uint64
	content model.Hash
	began   uint64
}

func (s *standing) key() key { return key{s.header.Round, s.header.Base, s.members().BeganMS} }

func (s *standing) members() wire.ModelMembers {
	switch d := s.body.(type) {
	case wire.Model:
		return d.ModelMembers
	case wire.Manifest:
		return d.ModelMembers
	}
	return wire.ModelMembers{}
}

// New returns a follower that ends at the first message that is refused.
func New(at At, opener *wire.Opener, largest uint64) *Follower {
	f := &Follower{
		Opener: opener, Largest: min(largest, math.MaxInt), at: at, pull: newPull(at), // MaxInt: on 32 bits
		Complain: func(err error) error { return err }, from: place{owner: at.Owner},
	}
	f.on = &f.from
	f.Up(true)
	return f
}

// For has the follower obey the canary of the task as well, where its filters match the path
// of a node. Its connection is subscribed to the canary's topic, too.
func (f *Follower) For(path string) *Follower {
	f.path, f.can = path, place{owner: f.at.Owner.Canary()}
	return f
}

// Next returns the next model that is not the last one; patience is the time
// in which something has to come, 0 for ever.
func (f *Follower) Next(ctx context.Context, patience time.Duration) (*Model, error) {
	late := after(patience)
	again := time.NewTicker(askAgainEvery)
	defer again.Stop()
	for {
		got, err := f.Owed()
		if err != nil {
			err = f.Complain(err)
		}
		if got != nil || err != nil {
			return got, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late:
			return nil, f.late(patience)
		case <-again.C:
			f.Ask()
		case <-after(f.Wake()):
			f.Tick()
		case s := <-f.at.Conn.States():
			f.Up(s.Up)
			if s.Up {
				err = s.Err // a denied subscription
			}
		case m := <-f.at.Conn.Messages():
			var moved bool
			if moved, err = f.Message(m); moved {
				late = after(patience)
			}
		}
		if err != nil {
			err = f.Complain(err)
		}
		if err != nil {
			return nil, err
		}
	}
}

// Up tells the state of the link.
func (f *Follower) Up(is bool) {
	f.pull.up(is)
	if is && f.path != "" {
		f.canAt = time.Now() // a subscription shows what stands
	}
}

// Tick passes the time; one is wanted after Wake.
func (f *Follower) Tick() {
	f.pull.puller.Tick(f.pull.now())
	if !f.canAt.IsZero() && time.Since(f.canAt) >= canaryShows { // nothing stands there
		f.canAt, f.can.stands = time.Time{}, nil
		f.choose()
	}
}

// canaryShows is how long a broker has to show the canary that stands, after it was asked:
// nothing says that there is none.
const (
	canaryShows   = 5 * time.Second
	canarySettles = time.Second // before the first model is taken
)

// Wake is the time until a Tick is wanted; 0 for never.
func (f *Follower) Wake() time.Duration {
	next := f.pull.until(f.wake)
	if !f.canAt.IsZero() {
		if left := max(canaryShows-time.Since(f.canAt), time.Millisecond); next == 0 || left < next {
			next = left
		}
	}
	if left := f.waitsForCanary(); f.due != nil && left > 0 {
		next = min(next, left)
	}
	return next
}

// Ask has the broker say once more what stands there.
func (f *Follower) Ask() {
	f.at.Conn.Resubscribe(f.from.owner.Model())
	if f.path != "" {
		f.at.Conn.Resubscribe(f.can.owner.Model())
		f.canAt = time.Now()
	}
}

// Owed does what is owed, and returns a model that is whole, once.
func (f *Follower) Owed() (*Model, error) {
	rd := f.pull.owed()
	f.wake = rd.Wake
	if rd.Done {
		parts, h := f.pull.target.Blob.Count(), f.on.stands.header
		m, got := f.pull.take()
		if got != h.Base {
			f.of = key{}
			return nil, fmt.Errorf("%s: the parts of version %d have the content %s, its header says %s", f.on.owner.Model(), h.Round, got, h.Base)
		}
		f.whole(&Model{Header: h, Model: m, Parts: parts, Contract: f.pull.target.Contract})
	}
	if f.due == nil || f.waitsForCanary() > 0 {
		return nil, nil
	}
	got := f.due
	f.due, f.given = nil, true
	return got, nil
}

// waitsForCanary is for how long the first model waits, as a canary may stand beside it.
func (f *Follower) waitsForCanary() time.Duration {
	if f.given || f.canAt.IsZero() {
		return 0
	}
	return canarySettles - time.Since(f.canAt)
}

func (f *Follower) whole(got *Model) {
	got.BeganMS = f.on.stands.members().BeganMS
	f.due, f.here = got, true
	f.on.newest, f.on.any = got.Header, true
}

// Message takes one message; moved says that it brought something new.
func (f *Follower) Message(m link.Message) (moved bool, err error) {
	switch {
	case m.Topic == f.from.owner.Model():
		if err = f.stands(&f.from, m); err == nil {
			f.choose()
		}
		return err == nil, err
	case f.path != "" && m.Topic == f.can.owner.Model():
		f.canAt = time.Time{}
		f.can.any = false // an earlier one may be tried again
		if f.can.stands = nil; len(m.Payload) > 0 {
			err = f.stands(&f.can, m)
		}
		f.choose()
		return err == nil, err
	}
	if moved = f.pull.part(m); moved && f.Progress != nil {
		have, count := f.pull.puller.Progress()
		f.Progress(f.of.version, have, count)
	}
	return moved, nil
}

// stands takes in what stands on a topic of models: a whole one, or a manifest to pull.
func (f *Follower) stands(p *place, m link.Message) error {
	if len(m.Payload) == 0 {
		return fmt.Errorf("%s was cleared", m.Topic)
	}
	h, body, err := f.Opener.Open(m.Topic, m.Payload, wire.Bound{MaxBody: wire.MaxPart})
	if err != nil {
		return fmt.Errorf("%s: %w", m.Topic, err)
	}
	d, err := wire.DecodeModel(body, wire.Limits{Part: wire.MaxPart})
	if err == nil {
		err = d.Matches(h)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", m.Topic, err)
	}
	s := &standing{h, d}
	older := h.Epoch < p.newest.Epoch || h.Epoch == p.newest.Epoch && h.Round < p.newest.Round
	if p.any && older && (h.Round != p.newest.Round || h.Base != p.newest.Base) {
		return fmt.Errorf("%s: version %d of epoch %d after version %d of epoch %d", m.Topic, h.Round, h.Epoch, p.newest.Round, p.newest.Epoch)
	}
	if mf, ok := d.(wire.Manifest); ok && mf.Blob.Length > f.Largest {
		return fmt.Errorf("a model of %d bytes, at most %d", mf.Blob.Length, f.Largest)
	}
	p.stands = s
	return nil
}

// obeyed is the place whose model counts here: a canary that is meant for the path, and is
// newer than what is released.
func (f *Follower) obeyed() *place {
	c, r := f.can.stands, f.from.stands
	if c == nil || r != nil && c.header.Round <= r.header.Round ||
		!slices.ContainsFunc(c.members().To, func(to string) bool { return topics.MatchPath(to, f.path) }) {
		return &f.from
	}
	return &f.can
}

// Obeys reports whether a model is the one that counts now.
func (f *Follower) Obeys(m *Model) bool {
	return f.here && f.of == key{m.Header.Round, m.Header.Base, m.BeganMS}
}

// choose begins with the model that counts now, unless it is the one that is here.
func (f *Follower) choose() {
	on := f.obeyed()
	s := on.stands
	if s != nil && s.key() == f.of && f.here && on == f.on {
		return
	}
	if on != f.on {
		f.pull.move(on.owner)
	}
	f.on, f.of, f.here, f.due = on, key{}, false, nil
	if s == nil { // a canary has ended, and nothing is released
		return
	}
	f.of = s.key()
	switch d := s.body.(type) {
	case wire.Model:
		f.pull.drop()
		f.whole(&Model{Header: s.header, Model: d.Tensors, Contract: d.Contract})
	case wire.Manifest:
		f.pull.want(d)
	}
}

// late says what did not come.
func (f *Follower) late(patience time.Duration) error {
	if have, count := f.pull.puller.Progress(); count > 0 {
		return fmt.Errorf("%s: %d of %d parts of version %d are here, and no other came within %s; the broker does not have them all: "+
			"the aggregator publishes them when it connects", f.on.owner.Model(), have, count, f.of.version, patience)
	}
	return fmt.Errorf("%s: no model within %s: is the task's name right, has it begun, does the broker keep retained messages over its restarts?",
		f.from.owner.Model(), patience)
}

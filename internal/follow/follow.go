// Package follow reads a task's models from the broker as a site does: inline,
// or by pulling the parts that a manifest names. It publishes nothing.
//
// Start with [New] and [Follower.Next] on a connection that is up, or with
// [Fetch] where the manifest is at hand.
package follow

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	// Contract says what the model means by its inputs and its output, canonical JSON; nil if
	// that is not known, or its message had no room for it.
	Contract []byte
}

// Follower follows a task's model. The connection is subscribed to the model's
// topic.
type Follower struct {
	Opener   *wire.Opener                          // of the owner's messages
	Largest  uint64                                // bytes of a model; more are refused
	Complain func(error) error                     // what to do about a message that is refused: end with an error, or nil
	Progress func(version uint64, have, count int) // of a pull; nil: nobody looks

	at     At
	pull   *pull
	wake   int64       // when the puller wants its tick
	seen   wire.Header // of the newest model that was whole
	any    bool
	header wire.Header // of the one being pulled
}

// New returns a follower that ends at the first message that is refused.
func New(at At, opener *wire.Opener, largest uint64) *Follower {
	f := &Follower{Opener: opener, Largest: min(largest, math.MaxInt), at: at, pull: newPull(at), Complain: func(err error) error { return err }} // MaxInt: on 32 bits
	f.pull.up(true)
	return f
}

// Next returns the next model that is not the last one; patience is the time
// in which something has to come, 0 for ever.
func (f *Follower) Next(ctx context.Context, patience time.Duration) (*Model, error) {
	late := after(patience)
	again := time.NewTicker(askAgainEvery)
	defer again.Stop()
	for {
		got, err := f.drive()
		if got != nil || err != nil {
			return got, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late:
			return nil, f.late(patience)
		case <-again.C:
			f.at.Conn.Resubscribe(f.at.Owner.Model())
		case <-after(f.pull.until(f.wake)):
			f.pull.puller.Tick(f.pull.now())
		case s := <-f.at.Conn.States():
			f.pull.up(s.Up)
			if s.Up {
				err = s.Err // a denied subscription
			}
		case m := <-f.at.Conn.Messages():
			var moved bool
			if got, moved, err = f.message(m); moved {
				late = after(patience)
			}
		}
		if err != nil {
			err = f.Complain(err)
		}
		if got != nil || err != nil {
			return got, err
		}
	}
}

// drive does what the puller owes, and returns the model when all parts are
// there.
func (f *Follower) drive() (*Model, error) {
	rd := f.pull.owed()
	f.wake = rd.Wake
	if !rd.Done {
		return nil, nil
	}
	parts := f.pull.target.Blob.Count()
	m, got := f.pull.take()
	if got != f.header.Base {
		return nil, f.Complain(fmt.Errorf("%s: the parts of version %d have the content %s, its header says %s", f.at.Owner.Model(), f.header.Round, got, f.header.Base))
	}
	return f.whole(&Model{Header: f.header, Model: m, Parts: parts, Contract: f.pull.target.Contract}), nil
}

func (f *Follower) whole(got *Model) *Model {
	f.seen, f.any = got.Header, true
	return got
}

// message takes one message; moved says that it brought something new.
func (f *Follower) message(m link.Message) (got *Model, moved bool, err error) {
	if m.Topic == f.at.Owner.Model() {
		got, err = f.model(m)
		return got, err == nil, err
	}
	if moved = f.pull.part(m); moved && f.Progress != nil {
		have, count := f.pull.puller.Progress()
		f.Progress(f.header.Round, have, count)
	}
	return nil, moved, nil
}

// model takes what stands on the model's topic: a whole model, or a manifest to
// pull.
func (f *Follower) model(m link.Message) (*Model, error) {
	if len(m.Payload) == 0 {
		return nil, fmt.Errorf("%s was cleared", m.Topic)
	}
	h, body, err := f.Opener.Open(m.Topic, m.Payload, wire.Bound{MaxBody: wire.MaxPart})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Topic, err)
	}
	d, err := wire.DecodeModel(body, wire.Limits{Part: wire.MaxPart})
	if err == nil {
		err = d.Matches(h)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Topic, err)
	}
	switch older := h.Epoch < f.seen.Epoch || h.Epoch == f.seen.Epoch && h.Round < f.seen.Round; {
	case f.any && h.Round == f.seen.Round && h.Base == f.seen.Base:
		return nil, nil
	case f.any && older:
		return nil, fmt.Errorf("%s: version %d of epoch %d after version %d of epoch %d", m.Topic, h.Round, h.Epoch, f.seen.Round, f.seen.Epoch)
	}
	switch d := d.(type) {
	case wire.Model:
		f.pull.drop()
		return f.whole(&Model{Header: h, Model: d.Tensors, Contract: d.Contract}), nil
	case wire.Manifest:
		if d.Blob.Length > f.Largest {
			return nil, fmt.Errorf("a model of %d bytes, at most %d", d.Blob.Length, f.Largest)
		}
		f.header = h
		f.pull.want(d)
		return nil, nil
	}
	return nil, errors.New("a form of model that is not known here")
}

// late says what did not come.
func (f *Follower) late(patience time.Duration) error {
	if have, count := f.pull.puller.Progress(); count > 0 {
		return fmt.Errorf("%s: %d of %d parts of version %d are here, and no other came within %s; the broker does not have them all: "+
			"the aggregator publishes them when it connects", f.at.Owner.Model(), have, count, f.header.Round, patience)
	}
	return fmt.Errorf("%s: no model within %s: is the task's name right, has it begun, does the broker keep retained messages over its restarts?",
		f.at.Owner.Model(), patience)
}

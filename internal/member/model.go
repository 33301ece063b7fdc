package member

import (
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// wants is the model that is to be pulled: the base of the order in force, when
// there is work on it and it is not at hand (S-21).
func (m *Machine) wants() model.Hash {
	if m.order == nil || !m.fetching.on || m.have.Content == m.order.Base {
		return model.Hash{}
	}
	return m.order.Base
}

// aim sets the puller on what is wanted, or on nothing. A pull under way does not
// end because another model is announced: the order that names it may be on its
// way, or the announcement is an old one.
func (m *Machine) aim() {
	p := &m.pull
	if p.whole {
		return // what it is will show
	}
	want := m.wants()
	t := p.newest
	if t == nil || t.Is.Content != want {
		t = p.target
	}
	if want.IsZero() || t == nil || t.Is.Content != want || t.blobKey == p.broken {
		m.endPull(false)
		return
	}
	if t == p.target {
		return
	}
	if p.room != t.Blob.Length {
		m.endPull(false)
		p.room, p.began = t.Blob.Length, m.now
		m.out.Receive = p.room
	}
	p.target, p.copied = t, 0
	p.puller.Want(m.now, t.Blob, t.Slot, m.cut)
}

// onModelBroken: the parts are another content than the manifest says. Where some were
// taken from the model at hand, those may be to blame: all of it is fetched once more.
func (m *Machine) onModelBroken() {
	if m.pull.copied > 0 {
		m.cut = wire.Blob{}
	} else {
		m.pull.broken = m.pull.target.key()
	}
	m.endPull(true)
}

// endPull forgets what was received so far, unless the file has become the model,
// or is used up in another way.
func (m *Machine) endPull(used bool) {
	p := &m.pull
	if p.target == nil {
		return
	}
	p.puller.Drop(m.now)
	m.out.Discard = m.out.Discard || !used && p.room > 0
	p.target, p.room, p.whole, p.ignored = nil, 0, false, 0
}

// onPart takes a part, if it was asked for and its hash is right. Others are
// counted: late ones and those of a slot that was written over are nothing
// unusual.
func (m *Machine) onPart(e PartCame) {
	off, ok := m.pull.puller.Part(m.now, e.Part, e.Slot, e.Index)
	if !ok {
		m.pull.ignored++
		return
	}
	m.out.Write = append(m.out.Write, Piece{Off: int64(off), Data: e.Part.Data})
	m.out.Progress = true
}

// askParts owes what the puller wants, of which the cap and the hours let through
// what they do (S-27, S-28).
func (m *Machine) askParts() {
	p, down := &m.pull, &m.cfg.Line.down
	size := 0
	if p.target != nil {
		size = int(p.target.Blob.Data) + wire.PartOverhead
	}
	room := down.room(m.now, size)
	if m.shut {
		room = 0
	}
	p.puller.Room(m.now, room)
	r := p.puller.Ready()
	down.take(m.now, len(r.Subscribe)*size)
	if room >= 0 {
		p.puller.Room(m.now, 0) // what comes meanwhile asks for nothing
	}
	p.wake = m.pullWake(r)
	m.copySame(r.Copy)
	m.out.Unsubscribe = append(m.out.Unsubscribe, r.Unsubscribe...)
	m.out.Subscribe = append(m.out.Subscribe, r.Subscribe...)
	if len(r.Need) > 0 && !m.shut {
		m.out.Send = append(m.out.Send, SendNeed{Seen: m.st.Seen, Is: p.target.Is, Need: wire.Need{Blob: p.target.blobKey, Ranges: r.Need}})
	}
	if r.Done {
		p.whole = true
		m.out.Assemble = &Assemble{Manifest: p.target.Manifest, Began: p.began, Copied: p.copied, Ignored: p.ignored}
	}
}

// copySame owes what the new model has in common with the one at hand (TR-71).
func (m *Machine) copySame(list []transfer.Same) {
	if len(list) == 0 {
		return
	}
	for _, s := range list {
		m.pull.copied += s.N
	}
	m.out.Copy = &Copy{Of: m.have.Content, Same: list}
	m.out.Progress = true
}

// Copied takes what a Copy brought to its place in the model that is received: whole
// leaves of it, unless it ends there.
func (m *Machine) Copied(off int, b []byte) { m.pull.puller.Copied(off, b) }

// Received is the content id of the model that is to be assembled, as its parts and what
// was copied make it.
func (m *Machine) Received() model.Hash { return m.pull.puller.Content() }

// pullWake is when more can be asked for, or what was asked for is to be looked at.
func (m *Machine) pullWake(r transfer.PullReady) ms {
	at := max(m.cfg.Line.down.next(m.now), m.now+1)
	switch {
	case m.shut, r.Wake == 0 && !r.Held:
		return 0
	case r.Held:
		return at
	}
	return max(at, r.Wake)
}

// tickPull passes the time of the pull, when parts may be asked for: those that do
// not come are asked for again.
func (m *Machine) tickPull() {
	if !m.shut && m.cfg.Line.down.room(m.now, 0) != 0 {
		m.pull.puller.Tick(m.now)
	}
}

// Knows reports whether a model that comes whole is at hand, so that it need not be
// read.
func (m *Machine) Knows(is Stored) bool { return is == m.have || is == m.latest }

// Has reports whether a model is the one at hand.
func (m *Machine) Has(is Stored) bool { return is == m.have }

// Fits reports whether a model has the form of the one at hand, as far as there is one.
func (m *Machine) Fits(is Stored) bool { return m.have.Schema.IsZero() || is.Schema == m.have.Schema }

// Pulling reports whether parts of a model are asked for.
func (m *Machine) Pulling() bool { return m.pull.target != nil }

// PullProgress is how many parts of a model have come, of how many; 0 of 0 while
// none is pulled.
func (m *Machine) PullProgress() (have, count int) {
	if m.pull.target == nil {
		return 0, 0
	}
	return m.pull.puller.Progress()
}

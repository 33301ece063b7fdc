package member

import (
	"github.com/fedmq/fedmq/internal/transfer"
	"github.com/fedmq/fedmq/wire"
)

// onGrant lets parts of an entry go (S-24). What the entry's parts are called is
// known from its offer: a grant of another part size is of no use.
func (m *Machine) onGrant(epoch uint64, g wire.Grant) {
	if g.Blob == (wire.BlobKey{}) || !m.uploads(g.Round, g.Blob) || !m.connected || m.shut {
		return
	}
	e := m.entry(g.Round)
	e.ahead = 0
	m.putOff(e)
	up := m.upload
	if up == nil || up.round != g.Round || up.key != g.Blob {
		up = &upload{
			round: g.Round, key: g.Blob, id: m.drawUpload(),
			size: int(e.Parts.Data) + wire.PartOverhead, sender: transfer.NewSender(e.Parts),
		}
		m.upload = up
	}
	if up.sender.Grant(m.now, epoch, g) {
		m.out.Progress = true
	}
}

func (m *Machine) drawUpload() uint64 {
	m.drawn++
	return m.drawn
}

// uploads reports whether the entry of a round is still to be sent in these
// parts.
func (m *Machine) uploads(round uint64, blob wire.BlobKey) bool {
	e := m.entry(round)
	return e != nil && e.Blob == blob && m.sendable(e)
}

// voidGrants: what is granted is void, and what is under way counts for nothing.
func (m *Machine) voidGrants() {
	if m.upload != nil {
		m.upload.id = m.drawUpload()
		m.upload.sender.Disconnected()
	}
}

// sendParts owes the parts that may leave now (S-27, S-28). An upload whose entry
// is answered or gone is forgotten.
func (m *Machine) sendParts() {
	m.paced = 0
	up := m.upload
	switch {
	case up == nil:
		return
	case !m.uploads(up.round, up.key):
		m.upload = nil
		return
	case m.shut:
		return
	}
	for _, i := range m.nextParts(up) {
		m.out.Send = append(m.out.Send, SendPart{Upload: up.id, Round: up.round, Index: i})
	}
}

// nextParts is which parts the cap lets through now.
func (m *Machine) nextParts(up *upload) []uint32 {
	pacer := &m.cfg.Line.up
	room := pacer.room(m.now, up.size)
	if room < 0 {
		return up.sender.Ready()
	}
	next := up.sender.Next(room)
	pacer.take(m.now, len(next)*up.size)
	if up.sender.Held() {
		m.paced = max(pacer.next(m.now), m.now+1)
	}
	return next
}

// onPartSent takes the outcome of a part's publish. An unknown one is no
// success: the aggregator asks for what it has not got.
func (m *Machine) onPartSent(e PartSent) {
	up := m.upload
	if up == nil || up.id != e.Upload {
		return // its grant was void when the link was lost
	}
	up.sender.Sent(m.now, e.Index, e.OK)
	if !e.OK {
		return
	}
	m.out.Progress = true
	if e := m.entry(up.round); e != nil && m.sendable(e) {
		m.putOff(e)
	}
}

// UploadProgress is how many parts of the update the broker has acknowledged, of
// how many; 0 of 0 while none were granted.
func (m *Machine) UploadProgress() (sent, count int) {
	if m.upload == nil {
		return 0, 0
	}
	return m.upload.sender.Progress()
}

package sim

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"

	"github.com/fedmq/fedmq/internal/member"
	"github.com/fedmq/fedmq/internal/round"
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// blobs are content-addressed files. What was not synced may be gone or torn
// after a power loss.
type blobs map[model.Hash]blob

type blob struct {
	b      []byte
	synced bool
}

var errGone = errors.New("sim: no such blob, or a torn one")

// put writes a file beside its place and moves it there.
func (s blobs) put(p *process, id model.Hash, b []byte, sync bool) {
	p.effect()
	s[id] = blob{b, sync}
	p.effect()
}

// get reads a file back, whole and checked.
func (s blobs) get(id model.Hash) ([]byte, error) {
	f, ok := s[id]
	if !ok || model.Hash(sha256.Sum256(f.b)) != id {
		return nil, errGone
	}
	return f.b, nil
}

// powerLoss takes from what was not synced.
func (s blobs) powerLoss(w *World) {
	for _, id := range slices.SortedFunc(maps.Keys(s), func(a, b model.Hash) int { return bytes.Compare(a[:], b[:]) }) {
		f := s[id]
		if f.synced {
			continue
		}
		switch w.rng.IntN(4) {
		case 0:
			delete(s, id)
		case 1:
			s[id] = blob{f.b[:w.rng.IntN(len(f.b))], true}
		case 2:
			torn := slices.Clone(f.b)
			clear(torn[w.rng.IntN(len(torn)):])
			s[id] = blob{torn, true}
		case 3:
			s[id] = blob{f.b, true}
		}
	}
}

// siteDisk is a site's data directory. Transactions are whole and synced; what was
// jotted down is not.
type siteDisk struct {
	state     member.State
	entries   map[uint64]member.Entry
	envelopes map[uint64]*updateMsg
	has       member.Stored // the model that is named
	cut       wire.Blob     // of it, where it came in parts
	blobs     blobs
	jotted    *unsaved // since the last transaction
}

func newSiteDisk() *siteDisk {
	return &siteDisk{entries: map[uint64]member.Entry{}, envelopes: map[uint64]*updateMsg{}, blobs: blobs{}}
}

// outbox is the entries as a process finds them.
func (d *siteDisk) outbox() (list []member.Entry) {
	for _, r := range sortedRounds(d.entries) {
		e := d.entries[r]
		e.Parts = d.envelopes[r].blob
		list = append(list, e)
	}
	return list
}

// model is the one that is named, if its file is there.
func (d *siteDisk) model() (member.Stored, wire.Blob) {
	if _, ok := d.blobs[d.has.Content]; !ok {
		return member.Stored{}, wire.Blob{}
	}
	return d.has, d.cut
}

// copy is a backup.
func (d *siteDisk) copy() *siteDisk {
	c := *d
	c.entries, c.envelopes, c.blobs = maps.Clone(d.entries), maps.Clone(d.envelopes), maps.Clone(d.blobs)
	return &c
}

func (d *siteDisk) tx(p *process, do func()) {
	p.effect()
	do()
	p.effect()
}

// release removes a blob that nothing names any more.
func (d *siteDisk) release(id model.Hash) {
	if id == d.has.Content {
		return
	}
	for _, e := range d.entries {
		if e.Content == id && e.Blob != (wire.BlobKey{}) {
			return
		}
	}
	delete(d.blobs, id)
}

// aggDisk is an aggregator's data directory.
type aggDisk struct {
	state   *round.State
	members []round.Member
	journal []round.Verdict
	records []*record
	blobs   blobs
	gone    bool // another machine has it now: a write fails, and ends the process
}

// copy is the same disk on another machine.
func (d *aggDisk) copy() *aggDisk {
	c := *d
	c.members, c.journal, c.records, c.blobs = slices.Clone(d.members), slices.Clone(d.journal), slices.Clone(d.records), maps.Clone(d.blobs)
	return &c
}

func (d *aggDisk) tx(p *process, do func()) {
	if p.effect(); d.gone {
		panic(crash{p})
	}
	do()
	p.effect()
}

// record is one record of a task, as far as anybody here reads it.
type record struct {
	epoch     uint64
	round     uint64
	attempt   uint32
	committed bool
	adopted   bool // above what others have seen (RC-15)
	work      string
	prev      uint64 // hash of the record before
	base      model.Hash
	model     model.Hash // after the round
	params    round.Params
	reason    round.Close
	order     [32]byte // hash
	entries   []round.Entry
	hash      uint64
	at        ms
}

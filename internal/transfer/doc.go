// Package transfer is how bytes that do not fit one message travel: four pure
// machines that decide which part is asked for, granted, sent or published
// when. Its rules are docs/spec/transfer.md, cited here as TR-n.
//
//   - A [Puller] fetches one model for a site, part by part, from the retained
//     topics of a slot.
//   - A [Sender] sends one update of a site, as its parts are granted.
//   - A [Receiver] grants the parts of all uploads of an aggregator's link, under
//     one budget, and proves what arrives.
//   - A [Mender] publishes the parts of an owner's model, first and again.
//
// A driver tells a machine what happened and then takes one Ready, which lists
// what is owed since the last one:
//
//	off, verdict := r.Part(now, key, part)
//	if verdict == transfer.Wanted {
//		stage(key, off, part.Data)
//	}
//	rd := r.Ready()
//	drop(rd.Release); make(rd.Admit)  // staging places, and fill them
//	send(rd.Grants, rd.Waits)
//	take(rd.Complete)                 // check its content id and the whole, then r.Done
//	wakeAt(rd.Wake)                   // then r.Tick
//
// Times are milliseconds of any clock that does not fall. The machines read no
// clock, hold no byte of a blob but its hashes, start nothing and draw nothing:
// the same calls give the same Readys. They are not safe for concurrent use.
// What a peer sends never makes them panic, nor take memory beyond their
// settings.
package transfer

import (
	"github.com/fedmq/fedmq/model"
	"github.com/fedmq/fedmq/wire"
)

// ms is a point in time or a duration, in milliseconds.
type ms = int64

// PartFilter is one retained topic of a model's part.
type PartFilter struct {
	Slot  uint32
	Index uint32
	QoS   byte // of the subscription; of no meaning when unsubscribing
}

// Key names an upload: a member has at most one in a task.
type Key struct {
	Task   string
	Member string
}

// Upload is an offer that is wanted: it passed every check that needs no
// tensors.
type Upload struct {
	Key     Key
	Round   uint64
	Attempt uint32
	Content [32]byte // content id
	Blob    wire.Blob
	Within  int64 // ms in which all of it should come: its round's deadline; 0: not known
	Whole   bool  // each part of it travels, whatever is known of it (TR-74)
	Keep    bool  // what came of this member's last offer may serve this one (TR-73)
	Counted bool  // its member was counted before
}

// Place is a staging place owed to an upload, filled with what needs no travel. What
// is not zeros lies in the place that its key had before, which is not released.
type Place struct {
	Key  Key
	Fill []Same
}

// Whole is an upload of which every part is there. Content is the content id of what
// came and of what needed no travel, whatever its offer says.
type Whole struct {
	Key     Key
	Content model.Hash
}

// Grant is a reply owed to a member.
type Grant struct {
	Key   Key
	Reply wire.Grant
}

// Wait is a reply owed to a member whose offer has no place yet.
type Wait struct {
	Key   Key
	Reply wire.Wait
}

// Package owner is all that an owner of tasks decides: the round machine of each task,
// the uploads of its members, the parts of its model, what it retains on the broker,
// the order in which things are published, and what happens after a restart. Its rules
// are docs/spec, cited here as R-n and TR-n.
//
// A driver of disk, link and clock feeds a [Machine], and each [Task] of it, with
// Step, and takes one [Ready] after the other until one is empty:
//
//	m := owner.New(cfg)
//	for ev := range events {
//		m.Task(ev.Task).Step(now, ev)        // or m.Step, of the link and the time
//		for rd := m.Ready(); !rd.Empty(); rd = m.Ready() {
//			save(rd.Save)                    // one transaction
//			drop(rd.Drop, rd.Release)
//			fold(rd.Restart, rd.Fold)
//			stage(rd.Stage, rd.Write)        // fill, write, answered by Written
//			send(rd.Send)                    // some answered by Sent, PartSent, Cleared
//			check(rd.Check)                  // answered by Checked
//			commit(rd.Commit)                // answered by Committed
//			m.Task(rd.Task).Step(now, ...)   // the answers, once all of it is done
//		}
//	}
//
// The walk of an update, stop by stop:
//
//  1. Its message arrives; the driver opens the envelope and decodes it ([Update],
//     [Offer]), and holds the bytes under its [Key].
//  2. offered: the round admits it or refuses it.
//  3. admitted: it waits for a place; the receiver says when there is one (TR-21).
//  4. arriving: its parts are granted, proven, checked and staged ([Part], [Write],
//     [Written]).
//  5. whole: all of it is there. What came in one message begins here.
//  6. It is checked as a whole ([Check], [Checked]); so is what was kept from before a
//     restart.
//  7. The round judges it: a verdict in the journal, saved before the receipt leaves.
//  8. counted: it is in the sum ([Fold]).
//  9. The round closes ([round.Commit], [Committed]): its record names the update.
//  10. gone: the driver lets go of what it holds ([Ready.Drop]).
//
// The machine never reads a clock, starts a goroutine, touches a disk or a network,
// logs, decodes, or holds the bytes of a model: the same events give the same Readys,
// so that a whole federation can be simulated.
package owner

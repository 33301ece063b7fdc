// Package member is the machine of a site in one task: when to join, which
// order to obey, which parts of a model to ask for, what to train, what to send
// and how often. Its rules are docs/spec/site.md, cited here as S-n.
//
// A driver feeds a [Machine] one [Event] at a time with Step and then takes
// one [Ready], whose work is done in the order of its fields. What the driver
// did comes back as an event; it decides nothing:
//
//	m := member.New(cfg, state, entries, have, cut)
//	for ev := range events {
//		m.Step(now, ev)
//		rd := m.Ready()
//		save(rd.Save, rd.Drop)   // one transaction
//		seal(rd.Seal)            // the outbox: an EntryStored follows
//		write(rd.Write)          // parts of a model
//		send(rd.Send)            // an EntrySent or a PartSent may follow
//		start(rd.Start)          // the trainer: Began and Finished follow
//		wakeAt(rd.Wake)          // then Step(now, Tick{})
//	}
//
// The way of an update is: Start, Finished, Seal, EntryStored, SendEntry, for an
// offer a Grant, SendPart and PartSent for each of its parts, a Receipt, a
// Recorded or Settled, Drop.
//
// The machine reads no clock, starts nothing and touches neither disk nor
// network. Of a model it sees the parts that pass, which it proves and hands on.
// The same events, and the same numbers from Config.Rand, give the same Readys.
package member

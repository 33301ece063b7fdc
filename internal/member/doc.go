// Package member is the machine of a site in one task: when to join, which
// order to obey, what to train, what to send and how often. Its rules are
// docs/spec/site.md, cited here as S-n.
//
// A driver feeds a [Machine] one [Event] at a time with Step and then takes
// one [Ready], whose work is done in the order of its fields:
//
//	m := member.New(cfg, state, entries, have)
//	for ev := range events {
//		m.Step(now, ev)
//		rd := m.Ready()
//		save(rd.Save, rd.Drop)   // one transaction
//		seal(rd.Seal)            // the outbox, answered by an event
//		send(rd.Send)
//		start(rd.Start)          // the trainer
//		wakeAt(rd.Wake)          // then Step(now, Tick{})
//	}
//
// The machine reads no clock, starts nothing, touches neither disk nor network
// and never sees the bytes of a model: the same events, and the same numbers
// from Config.Rand, give the same Readys.
package member

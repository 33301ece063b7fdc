// Package round is the round machine of one task: who takes part, what is
// asked of them, which contributions count, and when a round ends. Its rules
// are docs/spec/rounds.md, cited here as R-n.
//
// A driver feeds a [Machine] one [Event] at a time with Step and then takes
// one [Ready], which says what to make durable, what to fold and what to send,
// owed in that order:
//
//	m := round.New(cfg, state, members, journal)
//	for ev := range events {
//		m.Step(now, ev)
//		rd := m.Ready()
//		save(rd.Save)            // one transaction
//		fold(rd.Restart, rd.Fold)
//		send(rd.Send)
//		commit(rd.Commit)        // nil mostly; answered by Step(Committed{...})
//		wakeAt(rd.Wake)          // then Step(now, Tick{})
//	}
//
// The machine never reads a clock, draws a random number of its own, starts a
// goroutine, touches a disk or a network, logs, or sees the bytes of a model:
// the same events give the same Readys, so a federation can be simulated.
package round

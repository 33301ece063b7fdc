// Package site is the agent of one member: it joins the tasks of an
// aggregator, trains when an order says so, and publishes what its trainer
// learned.
//
// Implement trainer.Trainer, put it into a Task, and call [Run]. The data stay
// with the trainer; what leaves is the difference between the trained model and
// the one received, in one message or, when it is large, offered and sent in
// parts, and small JSON about presence and progress for people to watch.
// docs/spec/site.md states the rules by number (S-1 ...); the code cites them.
//
// What the agent decides is a pure machine, one for each task; what it does is
// one driver goroutine around them: a message, a tick or a finished job becomes
// an event, and the machine's answer is saved, then sent. An update is on the
// disk before it is sent, and stays there until the aggregator has said what
// became of it, so neither a crash nor a lost message costs or doubles it. Large
// models and updates pass through files; the agent itself needs the memory of two
// models while it trains.
//
// The package never trains twice for one order, never logs a payload, and never
// obeys an order lower than one it has obeyed before.
package site

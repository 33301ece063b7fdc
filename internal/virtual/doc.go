// Package virtual holds tests of whole federations in virtual time: the real
// aggregator, real sites and the real broker in one bubble of testing/synctest,
// with links cut, brokers and parties restarted, and members that lie. A day
// of heartbeats takes a second.
//
// It exports nothing: aggregator and site never import each other, so what
// needs both lives here. What needs real time is in internal/federation.
package virtual

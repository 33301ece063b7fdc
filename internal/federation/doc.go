// Package federation holds tests of whole federations in real time, on all
// processors: that a model has the same bits, that an aggregator goes on from an
// older copy of its directory, that it bears a siege. It exports nothing; what
// needs no real time is in internal/virtual.
package federation

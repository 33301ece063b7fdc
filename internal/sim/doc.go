// Package sim runs whole federations under one seed: the real machines of
// packages round, transfer and member, with thin drivers that do what theirs
// owe in the same order, on disks, a network and a broker that fail in every
// way the seed says. One goroutine, a virtual clock in milliseconds, no file, no
// socket.
//
//	out := Run(NewPlan(seed), Bugs{})
//	if out.Failure != nil { ... }
//
// It exports nothing: the world, its checker and the search are tests.
//
// An onlooker that shares nothing with the machines (the checker) reads the
// records, orders, receipts and disks as they come to be, and holds them
// against the invariants of docs/spec. The same plan gives the same trace,
// whose hash says so. A plan that fails can be shrunk: Shrink leaves sites,
// faults and rounds out while it still fails.
//
// Models are a few dozen bytes whose content follows from the contents that
// were added up, so that what must be equal is equal exactly.
package sim

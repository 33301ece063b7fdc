// Package aggregator runs the server side of one or more federated tasks: it
// welcomes members, publishes orders and models, folds the updates that count,
// commits rounds to disk and republishes the result, over any MQTT broker.
//
// Start with Run(ctx, Config). Everything that is decided is decided by the
// pure machine in internal/owner; this package is its driver: one goroutine
// takes what arrives, steps the machine, makes durable what it owes, folds,
// and sends, in that order.
//
// Of a task it holds four things, a type each: the bytes of what lies on the
// broker (publication), the fold of the open round with the updates on their
// way into it (sum), what stays on disk (keeping), and what people are told
// (telling). Updates that come in parts are staged until they are whole, in memory
// while it lasts, and each is folded from where it lies, so that memory does not grow with
// the sites.
//
// It never trusts a byte that it did not write: what arrives goes through
// package wire, and what the broker retains is only a cache of the disk.
package aggregator

// Package strategy turns the accepted updates of one round into the next
// global model. It is one arithmetic for all who make a model: the aggregator,
// and replay, which makes it again from the record.
//
// An aggregation goes this way: [Registry.Begin] on the base, Check and Add for
// every update, [Aggregation.Result]. Behind it stands a [Fold], one for each
// kind of work; for rounds of training it is that of the [Strategy] that the
// order names. The fold gives a mean update, and the server's [Optimiser] takes
// the model a step along it.
//
// To write a strategy, implement [Strategy] and [Fold], embed [Values] for the
// checks, and put it into the [Registry] of aggregator.Config and of
// replay.Config: see the example. One that is a weighted sum with coefficients
// of its own is a [Linear] and needs no more.
//
// A strategy sees models, weights and numbers, never members, time or messages:
// the same updates give the same bits wherever they are folded. Its arithmetic
// is its own: write float64(a*b) before every addition, so that no compiler
// fuses the two, and use no function of package math but Sqrt, Abs and what
// rounds, whose last bits differ between CPUs.
package strategy

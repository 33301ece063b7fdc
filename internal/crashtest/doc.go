// Package crashtest kills real processes and looks at what is left.
//
// "make crash" builds fedmq with the tag fedmqtest, runs a broker, an
// aggregator and three sites on this machine, and kills them with SIGKILL: at
// every crash point that the source names, one after the other, and at random
// instants of large rounds. What comes out must be what an undisturbed run
// gives: the same rounds with the same members and the same model bits, each
// update counted once. Without the tag there is nothing here to run.
package crashtest

// Package figures measures every figure that the pages show (docs/ref/bench.md,
// docs/explain/performance.md) and writes them there, so that none is copied by hand.
// It has tests only, which run where FEDMQ_FIGURES says so: "full" as the pages want
// it (make figures), "quick" with small models, to see that it works.
//
// It runs the built program as anybody would. Brokers are started by scripts of
// FEDMQ_BROKERS_DIR; without it, and without FEDMQ_PEERS and FEDMQ_OLD, what they are
// for is left out, and said. -run TestFigures/scale measures one table.
package figures

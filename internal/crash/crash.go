// Package crash names the places where a process may die at the worst moment.
//
// Write crash.At("part.before-write") where a kill would hurt. In a normal
// build that is an empty function, inlined away. A build with the tag
// fedmqtest reads the environment variable FEDMQ_CRASH_AT=NAME[:N] at its start
// and, at the N-th pass of that name, sends itself SIGKILL. Package crashtest
// finds the names in the source, so that no point is left out of its runs.
//
// It never runs anything on the way down: no deferred call, no buffer flushed.
package crash

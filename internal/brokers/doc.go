// Package brokers holds the matrix of real brokers and stories, and nothing
// else: its test drives bin/fedmq as a person would, against every broker that
// a directory of start scripts can run, and writes docs/ref/brokers.md.
//
// Start with "make brokers". Without FEDMQ_BROKERS the test is skipped, so that
// the tests of the module need Go alone.
package brokers

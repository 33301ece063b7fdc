// Package metrics shows the numbers of an aggregator, a site or a broker to
// Prometheus, and says whether the process is alive and ready.
//
// Start with [Aggregator], [Site] or [Broker], which make a [Source], and
// [Serve] it. Every metric stands in a table with its unit and its meaning;
// docs/ref/metrics.md is made of the same tables ([Reference]).
//
// It never holds up what it shows: it reads snapshots. No label takes a value
// that a peer can make up, but for the reasons of refusals, which are bounded.
package metrics

// Package watch turns the JSON that fedmq publishes for people into one view
// of a federation: its tasks and rounds, its sites with what they do and why
// they are late, its records and how they hang together. The dashboard and the
// terminal view both show it.
//
// Start: New(Config), run Feed.Run with a connection, and ask
// Federation.Since for what has changed. Federation alone is a state without
// network or clock: Apply what arrived, Tick the time.
//
// It reads JSON topics only, needs no help of an aggregator, and believes
// nothing: whatever bytes come, memory is bounded (the Max constants), texts
// are cut and printable, and nothing panics. It never decides anything for the
// federation, and never says more of a record than what its head proves.
package watch

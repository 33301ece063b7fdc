// Package collect suits the garbage collector to a process that does one thing and holds
// little, as a site with a small model: each collection looks through all that the program
// has set up at its start, so that one for each few rounds costs more than the rounds do.
//
// Call [Late] once, in a program. A library has no business here.
package collect

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// Room is how much garbage a process that holds little lets grow at least.
	Room = 16 << 20

	// most is the highest percentage, of what is in use, that this takes: the runtime's
	// own floor grows with it.
	most = 400
	// step keeps small changes of what is in use from being changes of the percentage.
	step = 50
)

// Late has the collector come when there are percent of what is in use, as GOGC has it, and
// room bytes at least. GOGC has the last word.
func Late(percent, room int) {
	if os.Getenv("GOGC") == "" {
		(&tuning{percent: percent, room: uint64(max(room, 0))}).next()
	}
}

// tuning follows what is in use from one collection to the next.
type tuning struct {
	percent int // of a process that holds much
	room    uint64
	set     int // now
}

// next sets the percentage, and comes again behind the next collection: nothing refers to
// what waits for it, a pointer, as without one it would share its place with others.
func (t *tuning) next() {
	if p := t.wanted(inUse()); p != t.set {
		t.set = p
		debug.SetGCPercent(p)
	}
	runtime.AddCleanup(new(*tuning), func(t *tuning) { t.next() }, t)
}

// wanted is the percentage that leaves room beside so many bytes in use.
func (t *tuning) wanted(live uint64) int {
	p := t.room * 100 / max(live, t.room*100/most, 1) // at most `most`
	return max(t.percent, int(p)/step*step)
}

// inUse is what the last collection has found in use.
func inUse() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

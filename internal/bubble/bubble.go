// Package bubble runs tests in virtual time.
package bubble

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/fedmq/fedmq/internal/racing"
)

// Test is [synctest.Test]. Under the race detector the process keeps to one
// processor from then on: two goroutines of a bubble that let timers go off at
// the same moment share a context of the detector, which then crashes (Go 1.26,
// golang/go#78156). Races are found all the same: the detector goes by what must
// happen before what, not by what ran at the same time.
func Test(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if racing.On {
		oneProcessor()
	}
	synctest.Test(t, f)
}

var oneProcessor = sync.OnceFunc(func() { runtime.GOMAXPROCS(1) })

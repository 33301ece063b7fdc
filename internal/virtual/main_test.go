package virtual

import (
	"os"
	"runtime/debug"
	"testing"
)

// The worlds of this package make much that is soon forgotten, and little that
// stays: collecting less often saves a fifth of the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

package virtual

import (
	"os"
	"runtime/debug"
	"testing"

	"github.com/fedmq/fedmq/internal/zframe"
)

// The worlds of this package make much that is soon forgotten, and little that
// stays: collecting less often saves a fifth of the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	// What compresses for the whole process is made outside of any bubble.
	if b, err := zframe.Compress([]byte("fedmq")); err != nil {
		panic(err)
	} else if _, err = zframe.Decompress(b, len("fedmq")); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

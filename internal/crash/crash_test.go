//go:build !fedmqtest

package crash_test

import (
	"os"
	"testing"

	"github.com/fedmq/fedmq/internal/crash"
)

// TestNothingHappens: a normal build passes its own points.
func TestNothingHappens(t *testing.T) {
	t.Setenv("FEDMQ_CRASH_AT", "here")
	crash.At("here")
	if n := testing.AllocsPerRun(100, func() { crash.At("here") }); n != 0 {
		t.Errorf("%v allocations in process %d, want none", n, os.Getpid())
	}
}

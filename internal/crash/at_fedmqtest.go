//go:build fedmqtest

package crash

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Env is the variable that says where to die.
const Env = "FEDMQ_CRASH_AT"

var (
	target, nth = parse(os.Getenv(Env))
	passes      atomic.Uint64
)

// parse reads NAME[:N].
func parse(s string) (name string, n uint64) {
	name, count, found := strings.Cut(s, ":")
	if !found {
		return name, 1
	}
	n, err := strconv.ParseUint(count, 10, 64)
	if err != nil || n == 0 {
		panic(fmt.Sprintf("%s=%q, want NAME or NAME:N with N from 1", Env, s))
	}
	return name, n
}

// At kills the process at the pass that the environment names.
func At(name string) {
	if target == "" || name != target || passes.Add(1) != nth {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal is on its way
}

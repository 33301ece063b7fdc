package exec

import "golang.org/x/sys/unix"

// limitsMemory: the kernel can.
const limitsMemory = true

// limitMemory bounds the private writable memory of the process, and of each
// that it starts from now on.
func limitMemory(pid int, bytes int64) error {
	n := uint64(max(bytes, 0)) // validated
	return unix.Prlimit(pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: n, Max: n}, nil)
}

//go:build unix

package bench

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// processUsage returns user and system seconds of this process, and its peak
// of resident memory in bytes.
func processUsage() (cpu float64, rss int64) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	cpu = (time.Duration(u.Utime.Nano()) + time.Duration(u.Stime.Nano())).Seconds()
	if hwm := highWater(); hwm > 0 {
		return cpu, hwm
	}
	rss = int64(u.Maxrss)         //nolint:unconvert // 32 bits wide on some platforms
	if runtime.GOOS != "darwin" { // which counts bytes, others KiB
		rss <<= 10
	}
	return cpu, rss
}

// highWater reads VmHWM, 0 where there is no such thing. Linux's maxrss would
// carry the parent's memory of the time of the fork.
func highWater() int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, b, ok := bytes.Cut(b, []byte("VmHWM:"))
	if !ok {
		return 0
	}
	fields := bytes.Fields(b[:min(len(b), 64)])
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

//go:build unix

package exec

import "syscall"

func renice(pid, nice int) error { return syscall.Setpriority(syscall.PRIO_PGRP, pid, nice) }

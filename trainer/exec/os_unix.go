//go:build unix

package exec

import (
	"errors"
	osexec "os/exec"
	"syscall"
)

// groups: a program has a process group of its own.
const groups = true

// apart puts the program into a process group of its own, so that its children
// can be ended with it, and Ctrl-C on a terminal reaches the agent alone.
func apart(cmd *osexec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// terminate asks the whole group to end.
func terminate(pid int) error { return signalGroup(pid, syscall.SIGTERM) }

// kill ends the whole group.
func kill(pid int) error { return signalGroup(pid, syscall.SIGKILL) }

// sweep ends the children that a program has left.
func sweep(pid int) { _ = kill(pid) }

func signalGroup(pid int, sig syscall.Signal) error {
	// EPERM: on macOS a group of nothing but zombies.
	if err := syscall.Kill(-pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, syscall.EPERM) {
		return err
	}
	return nil
}

func renice(pid, nice int) error { return syscall.Setpriority(syscall.PRIO_PGRP, pid, nice) }

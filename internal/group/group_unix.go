//go:build unix

package group

import (
	"errors"
	"os/exec"
	"syscall"
)

// Numbered reports that a program has a process group of its own, with its number.
const Numbered = true

// Apart puts the program into a process group of its own, so that its children
// can be ended with it, and Ctrl-C on a terminal reaches the agent alone.
func Apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// Terminate asks the whole group to end.
func Terminate(pid int) error { return signalGroup(pid, syscall.SIGTERM) }

// Kill ends the whole group.
func Kill(pid int) error { return signalGroup(pid, syscall.SIGKILL) }

// Sweep ends the children that a program has left.
func Sweep(pid int) { _ = Kill(pid) }

func signalGroup(pid int, sig syscall.Signal) error {
	// EPERM: on macOS a group of nothing but zombies.
	if err := syscall.Kill(-pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, syscall.EPERM) {
		return err
	}
	return nil
}

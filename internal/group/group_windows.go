package group

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// Numbered reports that a program has a process group with its number: there are none of that kind.
const Numbered = false

// Apart keeps Ctrl-C on a console from the program.
func Apart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// Terminate cannot ask politely on Windows: the program was asked by its
// standard input.
func Terminate(pid int) error { return Kill(pid) }

// Kill ends the process and what it has started.
func Kill(pid int) error {
	if err := exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(pid)).Run(); err == nil {
		return nil
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil // gone
	}
	if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Sweep does nothing: the children of a process that has ended are not found.
func Sweep(int) {}

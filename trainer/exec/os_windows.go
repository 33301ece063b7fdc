package exec

import (
	"errors"
	"os"
	osexec "os/exec"
	"strconv"
	"syscall"
)

// groups: there are none of that kind.
const groups = false

// apart keeps Ctrl-C on a console from the program.
func apart(cmd *osexec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
}

// terminate cannot ask politely on Windows: the program was asked by its
// standard input.
func terminate(pid int) error { return kill(pid) }

// kill ends the process and what it has started.
func kill(pid int) error {
	if err := osexec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(pid)).Run(); err == nil {
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

// sweep does nothing: the children of a process that has ended are not found.
func sweep(int) {}

func renice(int, int) error { return errors.ErrUnsupported }

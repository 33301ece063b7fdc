// Package proc starts the processes of tests, one way for all: a program with
// its log in a file, that is ended by its id. It is no part of a program.
package proc

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is one program that runs, or has run. All methods are safe for
// concurrent use.
type Process struct {
	Cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // of Wait, once done
}

// Start starts a command. What it says goes to the end of a file, but for what
// the command has a writer for; without a name there is no file.
func Start(cmd *exec.Cmd, log string) (*Process, error) {
	p := &Process{Cmd: cmd, log: log, done: make(chan struct{})}
	var f *os.File
	if log != "" {
		var err error
		if f, err = os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // the process has its own
		if cmd.Stdout == nil {
			cmd.Stdout = f
		}
		if cmd.Stderr == nil {
			cmd.Stderr = f
		}
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Err waits for the end, and returns what was wrong with it.
func (p *Process) Err() error {
	<-p.done
	return p.err
}

// Code waits for the end, and returns the exit code, -1 after a signal.
func (p *Process) Code() int {
	<-p.done
	return p.Cmd.ProcessState.ExitCode()
}

// Signal sends a signal, unless the process has ended.
func (p *Process) Signal(s os.Signal) {
	if !p.Ended() {
		_ = p.Cmd.Process.Signal(s)
	}
}

// Kill ends it without a word and waits.
func (p *Process) Kill() {
	p.Signal(os.Kill)
	<-p.done
}

// Stop ends it politely, and by force after ten seconds.
func (p *Process) Stop() {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.Kill()
	}
}

// Log is all that it has said so far.
func (p *Process) Log() string {
	b, _ := os.ReadFile(p.log) // none: nothing
	return string(b)
}

// Tail is the end of its log, below the name of the file.
func (p *Process) Tail() string { return filepath.Base(p.log) + ":\n" + Tail(p.Log()) }

// Tail is the last twelve lines of a text, of each no more than 400 bytes.
func Tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	lines = lines[max(0, len(lines)-12):]
	for i, l := range lines {
		lines[i] = l[:min(len(l), 400)]
	}
	return strings.Join(lines, "\n")
}

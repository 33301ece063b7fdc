//go:build unix

package pages

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a block that runs, or has run: a shell, and what it has started.
type process struct {
	cmd  *exec.Cmd
	out  sink
	done chan struct{} // closed when it has ended
	err  error         // of Wait, once done
}

// sink keeps what a process prints, both outputs.
type sink struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// begin starts code in a group of its own.
func begin(dir string, env []string, code string) (*process, error) {
	p := &process{cmd: exec.Command("sh", "-ec", code), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = dir, env, &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = stopLimit
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) output() string {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.out.b.String()
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop asks it to end, as Ctrl-C does, and wants the exit code 0.
func (p *process) stop(s syscall.Signal) error {
	if p.ended() {
		return errors.Join(errors.New("has ended by itself"), p.err)
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil {
		return err
	}
	select {
	case <-p.done:
		return p.err
	case <-time.After(stopLimit):
		return fmt.Errorf("still runs %v after %v", stopLimit, s)
	}
}

// end kills the group and waits.
func (p *process) end() {
	if p == nil || p.ended() {
		return
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// tail is the end of its output.
func (p *process) tail() string {
	lines := strings.Split(strings.TrimSpace(p.output()), "\n")
	lines = lines[max(0, len(lines)-12):]
	for i, l := range lines {
		lines[i] = l[:min(len(l), 400)]
	}
	return strings.Join(lines, "\n")
}

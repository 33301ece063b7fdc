//go:build unix

package pages

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/fedmq/fedmq/internal/proc"
)

// process is a block that runs, or has run: a shell, and what it has started.
type process struct {
	*proc.Process
	out *sink
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
	out := &sink{}
	cmd := exec.Command("sh", "-ec", code)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = stopLimit
	p, err := proc.Start(cmd, "")
	if err != nil {
		return nil, err
	}
	return &process{p, out}, nil
}

func (p *process) output() string {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.out.b.String()
}

// stop asks it to end, as Ctrl-C does, and wants the exit code 0.
func (p *process) stop(s syscall.Signal) error {
	if p.Ended() {
		return errors.Join(errors.New("has ended by itself"), p.Err())
	}
	if err := syscall.Kill(-p.Cmd.Process.Pid, s); err != nil {
		return err
	}
	select {
	case <-p.Done():
		return p.Err()
	case <-time.After(stopLimit):
		return fmt.Errorf("still runs %v after %v", stopLimit, s)
	}
}

// end kills the group and waits.
func (p *process) end() {
	if p == nil || p.Ended() {
		return
	}
	_ = syscall.Kill(-p.Cmd.Process.Pid, syscall.SIGKILL)
	<-p.Done()
}

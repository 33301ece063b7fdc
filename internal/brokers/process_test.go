package brokers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is one program that runs. Its log is a file of the test.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
	err  error         // of Wait, once done
}

// begin starts a program; the end of the test ends it, by its id.
func begin(t *testing.T, log string, env []string, name string, args ...string) (*process, io.Reader) {
	t.Helper()
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(name, args...), log: log, done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), env...), f
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout = w
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	go func() {
		p.err = p.cmd.Wait()
		_ = f.Close()
		close(p.done)
	}()
	t.Cleanup(func() { p.kill(); _ = r.Close() })
	return p, r
}

// start starts a program whose output is of no interest.
func start(t *testing.T, log, name string, args ...string) *process {
	t.Helper()
	p, out := begin(t, log, nil, name, args...)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill ends it without a word and waits.
func (p *process) kill() { p.signal(syscall.SIGKILL); <-p.done }

// stop ends it politely, and by force after ten seconds.
func (p *process) stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.kill()
	}
}

func (p *process) signal(s os.Signal) {
	if !p.ended() {
		_ = p.cmd.Process.Signal(s)
	}
}

// code is the exit code, once it has ended.
func (p *process) code() int { return p.cmd.ProcessState.ExitCode() }

// tail is the end of its log.
func (p *process) tail() string {
	b, _ := os.ReadFile(p.log)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	lines = lines[max(0, len(lines)-12):]
	for i, l := range lines {
		lines[i] = l[:min(len(l), 400)]
	}
	return filepath.Base(p.log) + ":\n" + strings.Join(lines, "\n")
}

// errSkip: the start script says that this broker cannot be had here.
var errSkip = errors.New("not available")

// kind is one broker of the matrix: a start script, or the embedded broker.
type kind struct {
	name, title string
	script      string // "" is the embedded broker
	program     string // bin/fedmq
}

// server is a broker that runs.
type server struct {
	kind
	port int
	data string   // kept over restarts; "": nothing is kept
	env  []string // of the script
	log  string
	p    *process
}

func (s *server) url() string { return fmt.Sprintf("tcp://127.0.0.1:%d", s.port) }

// up starts the broker, again on the same port, and waits until it is ready.
func (s *server) up(t *testing.T) error {
	t.Helper()
	if s.port == 0 {
		s.port = freePort(t)
	}
	if s.script == "" {
		return s.embedded(t)
	}
	env := s.env
	if s.data != "" {
		env = append(env, "FEDMQ_BROKER_DATA="+s.data)
	}
	p, out := begin(t, s.log, env, s.script, strconv.Itoa(s.port))
	s.p = p
	ready := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		ready <- line
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case line := <-ready:
		if line == "ready\n" {
			return nil
		}
		<-p.done
		if p.code() == 77 {
			return fmt.Errorf("%w: %s", errSkip, lastLine(p.log))
		}
		return fmt.Errorf("the start script ended with %d: %s", p.code(), lastLine(p.log))
	case <-time.After(15 * time.Minute): // the first start installs
		return errors.New("not ready after 15 minutes")
	}
}

func (s *server) embedded(t *testing.T) error {
	t.Helper()
	args := []string{"broker", "--open", "--listen", fmt.Sprintf("127.0.0.1:%d", s.port)}
	if s.data != "" {
		args = append(args, "--data-dir", s.data)
	}
	s.p = start(t, s.log, s.program, args...)
	return eventually(10*time.Second, "the embedded broker", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		return err == nil && c.Close() == nil
	})
}

func lastLine(path string) string {
	b, _ := os.ReadFile(path)
	s := strings.TrimSpace(string(b))
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// eventually asks again and again.
func eventually(within time.Duration, what string, ok func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(within)
	for !ok() {
		select {
		case <-tick.C:
		case <-end:
			return fmt.Errorf("waited %s in vain for %s", within, what)
		}
	}
	return nil
}

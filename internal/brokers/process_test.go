package brokers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/proc"
)

// begin starts a program and returns what it prints; the end of the test ends it.
func begin(t *testing.T, log string, env []string, name string, args ...string) (*proc.Process, io.Reader) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	p, err := proc.Start(cmd, log)
	if err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(func() { p.Kill(); _ = r.Close() })
	return p, r
}

// start starts a program whose output is of no interest.
func start(t *testing.T, log, name string, args ...string) *proc.Process {
	t.Helper()
	p, out := begin(t, log, nil, name, args...)
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return p
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
	port string
	data string   // kept over restarts; "": nothing is kept
	env  []string // of the script
	log  string
	p    *proc.Process
}

func (s *server) url() string { return "tcp://127.0.0.1:" + s.port }

// up starts the broker, again on the same port, and waits until it is ready.
func (s *server) up(t *testing.T) error {
	t.Helper()
	if s.port == "" {
		s.port = freePort(t)
	}
	if s.script == "" {
		return s.embedded(t)
	}
	env := s.env
	if s.data != "" {
		env = append(env, "FEDMQ_BROKER_DATA="+s.data)
	}
	p, out := begin(t, s.log, env, s.script, s.port)
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
		if p.Code() == 77 {
			return fmt.Errorf("%w: %s", errSkip, lastLine(p.Log()))
		}
		return fmt.Errorf("the start script ended with %d: %s", p.Code(), lastLine(p.Log()))
	case <-time.After(15 * time.Minute): // the first start installs
		return errors.New("not ready after 15 minutes")
	}
}

func (s *server) embedded(t *testing.T) error {
	t.Helper()
	args := []string{"broker", "--open", "--listen", "127.0.0.1:" + s.port}
	if s.data != "" {
		args = append(args, "--data-dir", s.data)
	}
	s.p = start(t, s.log, s.program, args...)
	return eventually(10*time.Second, "the embedded broker", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		return err == nil && c.Close() == nil
	})
}

func lastLine(log string) string {
	s := strings.TrimSpace(log)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := proc.Port()
	if err != nil {
		t.Fatal(err)
	}
	return port
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

package proc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const envSay = "FEDMQ_PROC_TEST"

// TestMain is the tests, or a program that says a line and waits for the end of
// its input, or of itself.
func TestMain(m *testing.M) {
	say := os.Getenv(envSay)
	if say == "" {
		os.Exit(m.Run())
	}
	fmt.Println(say)
	if say == "7" {
		os.Exit(7)
	}
	_, _ = os.Stdin.Read(make([]byte, 1))
}

func program(t *testing.T, say string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), envSay+"="+say)
	if _, err := cmd.StdinPipe(); err != nil { // stays open
		t.Fatal(err)
	}
	return cmd
}

func start(t *testing.T, say string) *Process {
	t.Helper()
	p, err := Start(program(t, say), filepath.Join(t.TempDir(), "x.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// What a process says and how it ends is known.
func TestProcess(t *testing.T) {
	t.Parallel()
	p := start(t, "7")
	if p.Code() != 7 || p.Err() == nil || !p.Ended() || p.Log() != "7\n" || p.Tail() != "x.log:\n7" {
		t.Errorf("code %d, %v, log %q, tail %q", p.Code(), p.Err(), p.Log(), p.Tail())
	}
	p.Signal(os.Kill) // nothing: the id may be another's
	if p = start(t, "waits"); p.Ended() {
		t.Error("has ended by itself")
	}
	p.Kill()
	if p.Code() != -1 || !p.Ended() {
		t.Errorf("code %d after a kill", p.Code())
	}
	if runtime.GOOS != "windows" { // no polite signal
		p = start(t, "waits")
		p.Stop()
		if s, ok := p.Cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGTERM {
			t.Errorf("ended by %v", p.Err())
		}
	}
	if _, err := Start(exec.Command(filepath.Join(t.TempDir(), "none")), ""); err == nil {
		t.Error("started what is not there")
	}
	if got := Tail(strings.Repeat("a\n", 20) + strings.Repeat("b", 500)); strings.Count(got, "a\n") != 11 || strings.Count(got, "b") != 400 {
		t.Errorf("tail %q", got)
	}
}

// No port comes twice, none is one that the system gives away, and none is taken, but by
// another process that was as quick.
func TestPort(t *testing.T) {
	t.Parallel()
	derived := map[int]bool{}
	lost := 0
	for range 200 {
		port, err := Port()
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if errors.Is(err, syscall.EADDRINUSE) && lost < 5 {
			lost++
			continue
		}
		if err != nil {
			t.Fatalf("port %s: %v, after %d that another process has", port, err, lost)
		}
		t.Cleanup(func() { _ = l.Close() })
		for _, d := range []int{n, 10_000 + 2*n%50_000, 10_001 + 2*n%50_000} {
			if derived[d] || d >= 32_768 || d < 1_024 {
				t.Fatalf("%d, of port %s, a second time: %t", d, port, derived[d])
			}
			derived[d] = true
		}
		if free(port) {
			t.Fatalf("port %s looks free, and is not", port)
		}
	}
}

package nettest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wire is a pair of network devices between this namespace, where the broker is,
// and one made for the site.
type wire struct {
	t             *testing.T
	ns            string
	dev, thereDev string
	here, there   string // addresses
}

var wires atomic.Int32

// newWire makes a namespace and a wire to it; without the right to, the test is
// skipped.
func newWire(t *testing.T) *wire {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("not root: no network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("no ip (iproute2)")
	}
	n := int(wires.Add(1)) - 1
	id := fmt.Sprintf("fmq%d-%d", os.Getpid()%100_000, n)
	w := &wire{
		t: t, ns: id, dev: id + "a", thereDev: id + "b",
		here: fmt.Sprintf("10.213.%d.%d", os.Getpid()%250, 4*n+1), there: fmt.Sprintf("10.213.%d.%d", os.Getpid()%250, 4*n+2),
	}
	if out, err := exec.Command("ip", "netns", "add", w.ns).CombinedOutput(); err != nil {
		t.Skipf("no network namespace can be made: %v: %s", err, out)
	}
	t.Cleanup(func() {
		_ = exec.Command("ip", "link", "del", w.dev).Run() // one end takes the other with it
		if out, err := exec.Command("ip", "netns", "del", w.ns).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	w.ip("link add " + w.dev + " type veth peer name " + w.thereDev + " netns " + w.ns)
	w.ip("addr add " + w.here + "/30 dev " + w.dev)
	w.ip("link set " + w.dev + " up")
	w.ip("-n " + w.ns + " addr add " + w.there + "/30 dev " + w.thereDev)
	w.ip("-n " + w.ns + " link set " + w.thereDev + " up")
	return w
}

func (w *wire) ip(args string) {
	w.t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		w.t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// netem shapes both directions; a kernel without it skips the test.
func (w *wire) netem(args string) {
	w.t.Helper()
	if _, err := exec.LookPath("tc"); err != nil {
		w.t.Skip("no tc (iproute2)")
	}
	for _, pre := range []string{"qdisc replace dev " + w.dev, "-n " + w.ns + " qdisc replace dev " + w.thereDev} {
		full := pre + " root netem " + args
		if out, err := exec.Command("tc", strings.Fields(full)...).CombinedOutput(); err != nil {
			w.t.Skipf("tc %s: %v: %s", full, err, strings.TrimSpace(string(out)))
		}
	}
}

// dial connects from within the namespace: its thread enters it, and is thrown away.
func (w *wire) dial(to string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		type result struct {
			conn net.Conn
			err  error
		}
		done := make(chan result, 1)
		go func() {
			runtime.LockOSThread() // for good: the thread ends with the goroutine
			conn, err := w.enterAndDial(ctx, to)
			done <- result{conn, err}
		}()
		r := <-done
		return r.conn, r.err
	}
}

func (w *wire) enterAndDial(ctx context.Context, to string) (net.Conn, error) {
	ns, err := os.Open("/run/netns/" + w.ns)
	if err != nil {
		return nil, err
	}
	defer func() { _ = ns.Close() }()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: 30 * time.Second, FallbackDelay: -1}
	return d.DialContext(ctx, "tcp4", to) // an address, no name: the socket is made by this thread, in its namespace
}

// Packets are lost, late, out of order and twice.
func TestLossyWire(t *testing.T) {
	for name, args := range map[string]string{
		"loss 30%":      "loss 30% delay 20ms",
		"jitter 500 ms": "delay 600ms 500ms distribution normal",
		"disorder":      "delay 50ms reorder 25% 50% duplicate 5%",
		"64 kbit/s":     "rate 64kbit delay 200ms",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			w.netem(args)
			f := newField(t, w.here, 96_000, 16<<10)
			f.join(w.dial(f.broker))
			t.Logf("96 kB: %s, %d connections", f.committed(10*time.Minute), f.dials.Load())
		})
	}
}

// The wire is pulled out, or swallows what goes one way, while a transfer runs. TCP
// goes on where it was; with -full it is silent for longer than a keep-alive.
func TestSilentWire(t *testing.T) {
	silence := 4 * time.Second
	if *full {
		silence = 2 * time.Minute
	}
	for name, c := range map[string]struct{ off, on func(w *wire) }{
		"pulled out": {
			func(w *wire) { w.ip("link set " + w.dev + " down") },
			func(w *wire) { w.ip("link set " + w.dev + " up") },
		},
		"one way, from the site": {
			func(w *wire) { w.ip("-n " + w.ns + " route add blackhole " + w.here + "/32") },
			func(w *wire) { w.ip("-n " + w.ns + " route del blackhole " + w.here + "/32") },
		},
		"one way, from the broker": {
			func(w *wire) { w.ip("route add blackhole " + w.there + "/32") },
			func(w *wire) { w.ip("route del blackhole " + w.there + "/32") },
		},
	} {
		for _, phase := range []string{"waiting", "sending"} {
			t.Run(name+" "+phase, func(t *testing.T) {
				t.Parallel()
				w := newWire(t)
				f := newField(t, w.here, 4_000_000, 16<<10)
				p := newProxy(t, f.broker) // slows the transfer down, beside the broker
				p.poison("bandwidth", `{"rate":400}`)
				relay := w.relay(p.Listen)
				f.join(w.dial(relay))
				f.until(phase, time.Minute)
				c.off(w)
				<-time.After(silence)
				c.on(w)
				t.Logf("4 MB: %s, %d connections", f.committed(5*time.Minute), f.dials.Load())
			})
		}
	}
}

// relay listens at this end of the wire and passes connections on.
func (w *wire) relay(to string) string {
	w.t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(w.here, "0"))
	check(w.t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			near, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go pipe(near, far)
			go pipe(far, near)
		}
	}()
	w.t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().String()
}

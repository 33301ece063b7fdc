package brokers

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/doctor"
	"github.com/fedmq/fedmq/internal/link"
)

// mosquitto starts one on a free port with lines of configuration of its own; the
// test is skipped where there is none.
func mosquitto(t *testing.T, lines string) *server {
	t.Helper()
	if os.Getenv(envMode) == "" {
		t.Skip(envMode + ` is not set; run "make brokers"`)
	}
	binary, err := exec.LookPath("mosquitto")
	if err != nil {
		if binary, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			t.Skipf("%v", err)
		}
	}
	dir := t.TempDir()
	s := &server{port: freePort(t), log: filepath.Join(dir, "broker.log")}
	if s.program, err = filepath.Abs("../../bin/fedmq"); err != nil {
		t.Fatal(err)
	}
	conf := write(t, dir, "mosquitto.conf", fmt.Sprintf("listener %s 127.0.0.1\nuser root\n%s\n", s.port, lines))
	s.p = start(t, s.log, binary, "-c", conf)
	if err := eventually(10*time.Second, "mosquitto", func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		return err == nil && c.Close() == nil
	}); err != nil {
		t.Fatalf("%v: %s", err, s.p.Tail())
	}
	return s
}

// write makes a file and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A Mosquitto that says no to every party: the likely cause is named by whoever
// asks why, and by the doctor.
func TestMosquittoRefuses(t *testing.T) {
	for _, c := range []struct{ name, extra, want string }{
		{"noretain", "retain_available false", "retain_available true"},
		{"qos0max", "max_qos 0", "max_qos 1"},
		{"full", "max_connections 1", "max_connections"},
		{"prefix", "clientid_prefixes plant-", "clientid_prefixes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := mosquitto(t, "allow_anonymous true\n"+c.extra)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if c.name == "full" {
				crowd(t, s)
			}
			_, causes := link.Why(ctx, link.Config{
				Broker: s.url(), ClientID: "berlin/line-1:site",
				Will: &link.Message{Topic: "acme/berlin/line-1/_fl_v1/state", Payload: []byte("{}"), QoS: 1, Retained: true},
			})
			if got := strings.Join(causes, "; "); !strings.Contains(got, c.want) {
				t.Errorf("why: %q, want %q; %s", got, c.want, s.p.Tail())
			}
			r, err := doctor.Run(ctx, doctor.Config{Link: link.Config{Broker: s.url()}, Namespace: "acme"})
			said := ""
			if r != nil {
				said = strings.Join(r.Advice.Problems, "; ")
			}
			if err != nil {
				said += err.Error()
			}
			if !strings.Contains(said, c.want) {
				t.Errorf("doctor: %q, want %q", said, c.want)
			}
		})
	}
}

// crowd connects until the broker takes nobody more.
func crowd(t *testing.T, s *server) {
	t.Helper()
	n := 0
	if err := eventually(10*time.Second, "a broker that is full", func() bool {
		p, err := link.OpenProbe(t.Context(), link.Config{Broker: s.url(), ClientID: fmt.Sprint("crowd-", n)}, false)
		if err != nil {
			return n > 0 // it still counts who looked whether it runs
		}
		n++
		t.Cleanup(p.Close)
		return false
	}); err != nil {
		t.Fatal(err)
	}
}

// A site of which the broker takes no CONNECT says why in its log, after the
// second attempt.
func TestSiteSaysWhy(t *testing.T) {
	s := mosquitto(t, "allow_anonymous true\nretain_available false")
	dir := t.TempDir()
	write(t, dir, "data.csv", "x,y\n1,2\n2,3\n3,4\n")
	write(t, dir, "site.yaml", "broker: "+s.url()+`
namespace: acme
member: berlin/line-1
data_dir: ./d
tasks: [{name: t, trainer: {tabular: {train: data.csv, target: {column: y}, features: [{columns: [x]}]}}}]
`)
	log := filepath.Join(dir, "site.log")
	start(t, log, s.program, "site", "-c", filepath.Join(dir, "site.yaml"))
	if err := eventually(time.Minute, "the cause", func() bool {
		b, err := os.ReadFile(log)
		return err == nil && bytes.Contains(b, []byte("retain_available true"))
	}); err != nil {
		b, _ := os.ReadFile(log)
		t.Errorf("%v: %s", err, b)
	}
}

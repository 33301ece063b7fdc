package nettest

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// proxy is a toxiproxy before the broker.
type proxy struct {
	t *testing.T
	*toxiproxy.Proxy
}

func newProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p := &proxy{t, toxiproxy.NewProxy(server, "line", "127.0.0.1:0", upstream)}
	check(t, p.Start())
	t.Cleanup(p.Stop)
	return p
}

// poison adds a toxic to both directions, or to the one named.
func (p *proxy) poison(kind, attributes string, streams ...string) {
	p.t.Helper()
	if len(streams) == 0 {
		streams = []string{"upstream", "downstream"}
	}
	for _, s := range streams {
		_, err := p.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
			`{"name":"%s %s","type":%q,"stream":%q,"toxicity":1,"attributes":%s}`, kind, s, kind, s, attributes)))
		check(p.t, err)
	}
}

func (p *proxy) heal() { p.Toxics.ResetToxics(context.Background()) }

func (p *proxy) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", p.Listen)
}

// behind starts a field and a proxy before its broker; the site is not started.
func behind(t *testing.T, size, part int) (*field, *proxy) {
	t.Helper()
	t.Parallel()
	f := newField(t, "127.0.0.1", size, part)
	return f, newProxy(t, f.broker)
}

// A model crosses 64 kbit/s both ways on one connection, no slower than half as
// fast as the line, and its progress is to be seen.
func TestThinLine(t *testing.T) {
	size, part := 96_000, 16<<10
	if *full {
		size, part = 1<<20, 126<<10
	}
	f, p := behind(t, size, part)
	p.poison("bandwidth", `{"rate":8}`)
	f.join(p.dial)
	ideal := 2 * f.line(64)
	took := f.committed(4 * ideal)
	t.Logf("%d bytes in parts of %d: %s, the line alone needs %s", size, part, took, ideal)
	if took > 2*ideal {
		t.Errorf("%s, want at most twice %s", took, ideal)
	}
	if n := f.dials.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	parts := size/part + 1
	if down, up := f.steps("waiting"), f.steps("sending"); down < parts/2 || up < parts/2 {
		t.Errorf("%d steps of progress down, %d up, of %d parts", down, up, parts)
	}
}

// Jitter of 500 ms, and writes that arrive in crumbs.
func TestJitter(t *testing.T) {
	f, p := behind(t, 300_000, 16<<10)
	p.poison("latency", `{"latency":500,"jitter":500}`)
	p.poison("slicer", `{"average_size":1000,"size_variation":900,"delay":100}`)
	f.join(p.dial)
	took := f.committed(3 * time.Minute)
	t.Logf("300 kB: %s", took)
	if n := f.dials.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// Each connection ends by a reset in the middle of its second part, or is cut
// there, up and down; each carries the transfer on.
func TestCutInAPart(t *testing.T) {
	for _, way := range []string{"upstream", "downstream"} {
		t.Run(way, func(t *testing.T) {
			f, p := behind(t, 100_000, 16<<10)
			p.poison("limit_data", `{"bytes":28000}`, way)
			f.join(p.dial)
			f.committed(3 * time.Minute)
			if n := f.dials.Load(); n < 3 {
				t.Errorf("%d connections, want one for each part or two", n)
			}
		})
	}
}

// The peer resets the connection again and again while the transfer runs.
func TestResets(t *testing.T) {
	f, p := behind(t, 300_000, 16<<10)
	p.poison("bandwidth", `{"rate":40}`)
	f.join(p.dial)
	for _, phase := range []string{"waiting", "sending"} {
		f.until(phase, time.Minute)
		p.poison("reset_peer", `{"timeout":0}`, "downstream")
		before := f.dials.Load()
		for end := time.Now().Add(time.Minute); f.dials.Load() == before; <-time.After(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("no new connection within a minute")
			}
		}
		p.heal()
		p.poison("bandwidth", `{"rate":40}`)
	}
	f.committed(3 * time.Minute)
}

// Nothing arrives in one direction, or in both, and what was sent meanwhile is
// lost to the last byte: the ends notice by the garbage that follows, or by the
// keep-alive.
func TestHalfOpen(t *testing.T) {
	silence := 5 * time.Second
	if *full {
		silence = 2 * time.Minute
	}
	for name, ways := range map[string][]string{"both": nil, "up": {"upstream"}, "down": {"downstream"}} {
		for _, phase := range []string{"waiting", "sending"} {
			t.Run(name+" "+phase, func(t *testing.T) {
				f, p := behind(t, 300_000, 16<<10)
				p.poison("bandwidth", `{"rate":40}`)
				f.join(p.dial)
				f.until(phase, time.Minute)
				p.poison("timeout", `{"timeout":0}`, ways...)
				<-time.After(silence)
				p.heal()
				f.committed(5 * time.Minute)
			})
		}
	}
}

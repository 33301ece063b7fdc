package broker

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/fedmq/fedmq/topics"
)

// from is a connection from an address.
type from struct {
	net.Conn
	addr string
}

func (f from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(f.addr), 1000))
}

func (from) Close() error { return nil }

// counter is an accountant and what a test counts in.
func counter(t *testing.T, open bool, l Limits) (*accountant, func(addr string) (*pass, *pass, Reason)) {
	t.Helper()
	if err := l.complete(); err != nil {
		t.Fatal(err)
	}
	a, err := newAccountant(l, open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if len(a.hosts) != 0 || len(a.waiting) != 0 || a.in != 0 {
			t.Errorf("left behind: %v %v %d", a.hosts, a.waiting, a.in)
		}
		for name, u := range a.accounts {
			if len(u.ids) != 0 {
				t.Errorf("user %s: %v", name, u.ids)
			}
		}
	})
	return a, func(addr string) (*pass, *pass, Reason) {
		p, oldest, r := a.enter(from{addr: addr})
		t.Cleanup(func() { _ = p.Close() })
		return p, oldest, r
	}
}

// One address has so many connections, let in or not; loopback and those who
// are trusted have no such limit, and an IPv6 /64 is one address.
func TestConnectionsByAddress(t *testing.T) {
	t.Parallel()
	a, enter := counter(t, false, Limits{PerAddress: 3, TrustedAddresses: []string{"10.1.0.0/16", "2001:db8:1::5"}})
	for addr, bounded := range map[string]bool{
		"192.0.2.1": true, "::ffff:192.0.2.9": true, "2001:db8::%d": true,
		"127.0.0.1": false, "::1": false, "10.1.2.3": false, "2001:db8:1::5": false,
	} {
		var open []*pass
		for i := range 6 {
			at := addr
			if strings.Contains(addr, "%") {
				at = fmt.Sprintf(addr, i+1)
			}
			p, _, r := enter(at)
			if want := bounded && i >= 3; (r == ReasonAddress) != want {
				t.Errorf("connection %d from %s: %v", i+1, at, r)
			}
			if r == 0 {
				if r := a.letIn(p, "u"+addr, RoleLimits{Connections: 9}, fmt.Sprint(i)); r != 0 {
					t.Errorf("%s: %v", at, r)
				}
				open = append(open, p)
			}
		}
		_ = open[0].Close()
		_ = open[0].Close()
		if _, _, r := enter(addr[:len(addr)-len("%d")*strings.Count(addr, "%")] + strings.Repeat("7", strings.Count(addr, "%"))); r != 0 {
			t.Errorf("%s: no place after one has left: %v", addr, r)
		}
	}
}

// Who is not let in yet makes room for others: the oldest of the address that
// has the most goes, so that a flood costs itself.
func TestConnectingMakesRoom(t *testing.T) {
	t.Parallel()
	a, enter := counter(t, false, Limits{Connecting: 10})
	honest, _, _ := enter("192.0.2.1")
	for i := range 100 {
		_, oldest, r := enter("127.0.0.1")
		if r != 0 || (oldest != nil) != (i >= 9) {
			t.Fatalf("connection %d: %v, %v", i, oldest, r)
		}
		if oldest != nil {
			if oldest.host != "127.0.0.1" || oldest.seq != uint64(i-9+2) {
				t.Fatalf("connection %d closes %d of %s", i, oldest.seq, oldest.host)
			}
			if r := a.letIn(oldest, "u", RoleLimits{Connections: 1}, "id"); r != ReasonConnecting || len(a.waiting) != 10 {
				t.Fatalf("who made room, and is not closed yet, is let in: %v; %d wait", r, len(a.waiting))
			}
			_ = oldest.Close()
		}
	}
	if r := a.letIn(honest, "u", RoleLimits{Connections: 1}, "id"); r != 0 {
		t.Errorf("an honest one beside them: %v", r)
	}
}

// One user has so many client ids; one that is in may be taken over. The last
// tenth of all places is for those who were in before.
func TestConnectionsByUser(t *testing.T) {
	t.Parallel()
	a, enter := counter(t, false, Limits{Connections: 20})
	in := func(user, id string) (*pass, Reason) {
		p, _, _ := enter("127.0.0.1")
		return p, a.letIn(p, user, RoleLimits{Connections: 8}, id)
	}
	before, r := in("before", "before")
	if r != 0 {
		t.Fatal(r)
	}
	_ = before.Close()
	for i := range 12 {
		if _, r := in("site", fmt.Sprint("site:", i)); (r == ReasonUser) != (i >= 8) {
			t.Errorf("client id %d: %v", i, r)
		}
	}
	for i := range 5 {
		if _, r := in("site", "site:0"); (r == ReasonUser) != (i >= sameID-1) {
			t.Errorf("take-over %d: %v", i, r)
		}
	}
	for i := range 20 {
		want := Reason(0)
		if a.in >= 18 {
			want = ReasonConnections
		}
		if _, r := in(fmt.Sprint("user", i), "x"); r != want {
			t.Errorf("user %d: %v, want %v", i, r, want)
		}
	}
	if _, r := in("before", "before"); r != 0 {
		t.Errorf("who was in before: %v", r)
	}
}

// In an open broker who was in before is known by client id, and no more of
// them are remembered than connections may be.
func TestConnectionsOfAnOpenBroker(t *testing.T) {
	t.Parallel()
	a, enter := counter(t, true, Limits{Connections: 10})
	in := func(id string) Reason {
		p, _, _ := enter("127.0.0.1")
		defer func() { _ = p.Close() }()
		return a.letIn(p, "", a.limits.Anonymous, id)
	}
	for i := range 1000 {
		if r := in(fmt.Sprint(i)); r != 0 {
			t.Fatal(r)
		}
	}
	if len(a.known) > 10 || len(a.accounts) > 1 {
		t.Errorf("%d client ids and %d users are remembered", len(a.known), len(a.accounts))
	}
}

// A user that has too many connections is told to come later; another is let in.
func TestUserAtItsLimit(t *testing.T) {
	t.Parallel()
	cfg := plant(t)
	cfg.TCP, cfg.Limits.Site.Connections = "127.0.0.1:0", 2
	b, _ := run(t, cfg)
	const site = "berlin/line-1"
	try := func(user, id string) byte {
		_, code := dial(t, tcp(t, b.Addrs().TCP), connectOpts{id: id, user: user, password: user})
		return code
	}
	if try(site, site) != 0 || try(site, site+":2") != 0 {
		t.Fatal("not let in")
	}
	if code := try(site, site+":3"); code != 3 {
		t.Errorf("the third: CONNACK %d, want 3", code)
	}
	if try(site, site) != 0 || try("gera/line-1", "gera/line-1") != 0 {
		t.Error("a take-over, or another user, is not let in")
	}
	if n := b.Stats().Refused[ReasonUser]; n != 1 {
		t.Errorf("%d refused", n)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]Limits{
		"limits.site.connections is -1": {Site: RoleLimits{Connections: -1}},
		"limits.per_address is -5":      {PerAddress: -5},
		`"10.0.0.0/99" is neither`:      {TrustedAddresses: []string{"10.0.0.0/99"}},
	} {
		if err := l.complete(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	l := Limits{Site: RoleLimits{Sessions: 7}}
	if err := l.complete(); err != nil || l.Site.Sessions != 7 || l.Site.Connections != 8 || l.Owner.RetainedBytes != 1<<30 {
		t.Errorf("%+v, %v", l, err)
	}
	area := l.of([]topics.Party{{Role: topics.RoleSite}, {Role: topics.RoleAggregator}})
	if area.Connections != 64 || area.RetainedTopics != 100_000 {
		t.Errorf("an area: %+v", area)
	}
}

// Every way in has its turnstile before a byte is read: connections that say
// nothing, half a request or half a handshake make room for who comes to work.
func TestEveryListenerHasATurnstile(t *testing.T) {
	t.Parallel()
	cfg, _ := secure(t)
	cfg.TCP, cfg.WS, cfg.TLS, cfg.WSS = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Limits.Connecting = 10
	b, _ := run(t, cfg)
	a := b.Addrs()
	for _, addr := range []string{a.TCP, a.WS, a.TLS, a.WSS} {
		for range 25 {
			c := tcp(t, addr)
			t.Cleanup(func() { _ = c.Close() })
			if addr == a.WS {
				_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n"))
			}
		}
	}
	b.until(t, func() bool { // all 100 are accepted, 10 wait
		b.hook.accounts.mu.Lock()
		defer b.hook.accounts.mu.Unlock()
		return len(b.hook.accounts.waiting) == 10 && b.Stats().Refused[ReasonConnecting] == 90
	})
	join(t, tcp(t, a.TCP), connectOpts{id: "op", user: "op", password: "op"})
}

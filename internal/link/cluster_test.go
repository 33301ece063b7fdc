package link

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, shown, want string }{
		{"tcp://a", "tcp://a:1883", ""},
		{"tcp://a,tcp://b:7", "tcp://a:1883, tcp://b:7", ""},
		{"wss://a/mqtt?sig=x,y, wss://b/mqtt", "wss://a:443/mqtt, wss://b:443/mqtt", ""},
		{"tcp://a,tcp://a:1883", "the broker", "stands twice"},
		{"tcp://a,tls://b", "the broker", "all with TLS, or none"},
		{"tcp://a,http://b", "the broker", `scheme "http"`},
		{"wss://a/mqtt?sig=SECRET", "wss://a:443/mqtt", ""},
		{"tcp://a?sig=SECRET", "the broker", "no effect"},
		{"tcp://a/mqtt#SECRET", "the broker", "no effect"},
		{"tcp://me:SECRET@a", "the broker", "user name"},
		{"wss://a:0/mqtt?sig=SECRET", "the broker", "port 0"},
		{"wss://a:x/mqtt?sig=SECRET", "the broker", "not a URL"},
		{"tcp://a/mqtt", "the broker", "ws:// and wss:// only"},
		{"wss://a?sig=SECRET,wss://a?sig=SECRET", "the broker", "stands twice"},
		{strings.Repeat("tcp://a,", 17) + "tcp://b", "the broker", "18 addresses"},
	} {
		_, err := New(Config{Broker: c.in, ClientID: "x"})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.in, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: the error shows what may be a secret: %v", c.in, err)
		}
		if got := Shown(c.in); got != c.shown {
			t.Errorf("%s is shown as %q, want %q", c.in, got, c.shown)
		}
	}
}

// urlOf is the address of a listener.
func urlOf(l net.Listener) string { return "tcp://" + l.Addr().String() }

const saidHere, seenHere = "acme/a/_fl_v1/t/status", "acme/_fl_v1/state"

// proof is that of a party which has heard one presence.
func proof(known string) Proof {
	return Proof{Said: saidHere, Seen: seenHere, Known: func(b []byte) bool { return string(b) == known }}
}

// retain leaves a presence at a broker.
func (b *broker) retain(t *testing.T, text string) {
	t.Helper()
	p := probe(t, Config{Dial: b.dial, ClientID: "aggregator"}, false)
	defer p.Close()
	if _, err := p.Publish(t.Context(), 1, Message{Topic: seenHere, Payload: []byte(text), QoS: 1, Retained: true}); err != nil {
		t.Fatal(err)
	}
}

// Two addresses of one broker are one cluster, those of two are not, and what does
// not answer proves nothing. Where a party may not read what it writes, the presence
// tells; where there is none, nothing does.
func TestProve(t *testing.T) {
	t.Parallel()
	one, other := newBroker(t), newBroker(t)
	blind, present, stranger := newBroker(t), newBroker(t), newBroker(t)
	for _, b := range []*broker{blind, present, stranger} {
		b.denySub = func(filter string) bool { return filter == saidHere }
	}
	present.retain(t, "of the cluster")
	stranger.retain(t, "of another one")
	at := func(b *broker) string { l := listen(t); b.serve(t, l); return urlOf(l) }
	dead := listen(t)
	_ = dead.Close()
	a, c, s := at(one), at(other), at(stranger)
	for _, try := range []struct {
		name, broker string
		proven       bool
		foreign      string
	}{
		{"one address", a, true, ""},
		{"one cluster", a + "," + at(one), true, ""},
		{"two brokers", a + "," + c, false, c},
		{"a dead one", urlOf(dead) + "," + a + "," + at(one), false, ""},
		{"a dead one and two brokers", urlOf(dead) + "," + a + "," + c, false, c},
		{"the presence, at two", at(present) + "," + at(present), true, ""},
		{"two presences", at(present) + "," + s, false, s},
		{"no presence", at(blind) + "," + at(blind), false, ""},
		{"one presence", at(present) + "," + at(blind), false, ""},
	} {
		t.Run(try.name, func(t *testing.T) {
			t.Parallel()
			conn, err := New(Config{Broker: try.broker, ClientID: try.name})
			if err != nil {
				t.Fatal(err)
			}
			proven, err := conn.Prove(t.Context(), proof(""))
			if proven != try.proven || errors.Is(err, ErrCluster) != (try.foreign != "") || try.foreign != "" && !strings.Contains(err.Error(), try.foreign) {
				t.Errorf("proven %t, %v", proven, err)
			}
		})
	}
}

// What did not answer at the start is used once it shows the presence that was heard
// at the others, and never if it shows another one, or none.
func TestProvenLater(t *testing.T) {
	t.Parallel()
	const presence = "of the cluster"
	for name, late := range map[string]struct {
		shows string
		used  bool
	}{"one cluster": {presence, true}, "another": {"of another one", false}, "empty": {"", false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := newBroker(t), newBroker(t)
			if late.shows != "" {
				other.retain(t, late.shows)
			}
			first, second := listen(t), listen(t)
			one.serve(t, first)
			_ = second.Close()
			var log syncBuffer
			conn, err := New(Config{Broker: urlOf(first) + "," + urlOf(second), ClientID: "berlin:site", Log: zerolog.New(&log)})
			if err != nil {
				t.Fatal(err)
			}
			if proven, err := conn.Prove(t.Context(), proof(presence)); proven || err != nil {
				t.Fatalf("proven %t, %v", proven, err)
			}
			run(t, conn)
			next(t, conn, isUp)
			again, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", second.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			other.serve(t, again)
			_ = first.Close()
			one.cut()
			next(t, conn, isDown)
			s := next(t, conn, func(s State) bool { return s.Up || errors.Is(s.Err, ErrCluster) })
			if s.Up != late.used || s.Up && conn.Broker() != urlOf(second) || !s.Up && !strings.Contains(s.Err.Error(), urlOf(second)) {
				t.Errorf("up %t at %s: %v\n%s", s.Up, conn.Broker(), s.Err, log.String())
			}
		})
	}
}

// The next address is tried at once, and the one that works is kept.
func TestNextAddress(t *testing.T) {
	t.Parallel()
	b := newBroker(t)
	dead, alive := listen(t), listen(t)
	_ = dead.Close()
	b.serve(t, alive)
	conn, _ := start(t, Config{Broker: urlOf(dead) + "," + urlOf(alive)})
	began := time.Now()
	next(t, conn, isUp)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("up after %s: the back-off is over the whole list", took)
	}
	if got := conn.Broker(); got != urlOf(alive) {
		t.Errorf("the broker is %s, want %s", got, urlOf(alive))
	}
	b.cut()
	next(t, conn, isDown)
	next(t, conn, isUp)
	if got := conn.Stats(); got.Broker != urlOf(alive) || got.Attempts != 3 {
		t.Errorf("%s after %d attempts: it did not stay", got.Broker, got.Attempts)
	}
}

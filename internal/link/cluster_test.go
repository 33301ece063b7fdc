package link

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"
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

// Two addresses of one broker are one cluster, those of two are not, and what does
// not answer proves nothing.
func TestOneCluster(t *testing.T) {
	t.Parallel()
	one, other := newBroker(t), newBroker(t)
	a, b, c := listen(t), listen(t), listen(t)
	one.serve(t, a)
	one.serve(t, b)
	other.serve(t, c)
	dead := listen(t)
	_ = dead.Close()
	for _, try := range []struct {
		name, broker string
		proven       bool
		err          error
	}{
		{"one address", urlOf(a), true, nil},
		{"one cluster", urlOf(a) + "," + urlOf(b), true, nil},
		{"two brokers", urlOf(a) + "," + urlOf(c), false, ErrCluster},
		{"a dead one", urlOf(dead) + "," + urlOf(a) + "," + urlOf(b), false, nil},
		{"a dead one and two brokers", urlOf(dead) + "," + urlOf(a) + "," + urlOf(c), false, ErrCluster},
	} {
		proven, err := OneCluster(t.Context(), Config{Broker: try.broker, ClientID: try.name}, "acme/a/_fl_v1/t/status", "acme/_fl_v1/state")
		if proven != try.proven || !errors.Is(err, try.err) || try.err != nil && !strings.Contains(err.Error(), urlOf(c)) {
			t.Errorf("%s: proven %t, %v", try.name, proven, err)
		}
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

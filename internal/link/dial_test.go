package link

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"
)

func TestParseBroker(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in, want   string // want: the whole URL, or a part of the error after "!"
		secure, ws bool
	}{
		{in: "tcp://h", want: "tcp://h:1883"},
		{in: "mqtt://h:7", want: "mqtt://h:7"},
		{in: "ssl://h", want: "ssl://h:8883", secure: true},
		{in: "tls://[::1]", want: "tls://[::1]:8883", secure: true},
		{in: "mqtts://h/", want: "mqtts://h:8883/", secure: true},
		{in: "ws://h", want: "ws://h:80/mqtt", ws: true},
		{in: "wss://h/a/b", want: "wss://h:443/a/b", secure: true, ws: true},
		{in: "", want: "!no broker"},
		{in: "h:1883", want: "!not a URL"},
		{in: "http://h", want: `!scheme "http"`},
		{in: "tcp://", want: "!no host"},
		{in: "tcp://h/x", want: "!path"},
		{in: "tcp://me:secret@h", want: "!user name"},
		{in: "tcp://h:port", want: "!not a URL"},
		{in: "tcp://h:99999", want: "!port 99999: want 1 to 65535"},
		{in: "tcp://h:0", want: "!port 0: want 1 to 65535"},
		{in: "tcp://h:", want: "!no port after the colon"},
		{in: "tcp://::1:1883", want: "!an IPv6 address stands in brackets, tcp://[::1]:1883"},
		{in: "tls://fe80::1", want: "!an IPv6 address stands in brackets, tls://[::1]:1883"},
		{in: "tcp://h?clean=true", want: "!more after the address"},
		{in: "ws://h/mqtt#top", want: "!more after the address"},
		{in: "ws://h/mqtt?key=1", want: "ws://h:80/mqtt?key=1", ws: true},
	} {
		a, err := parseBroker(tt.in)
		if msg, bad := strings.CutPrefix(tt.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), msg) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: %v, want %q", tt.in, err, msg)
			}
			continue
		}
		if err != nil || a.url.String() != tt.want || a.secure != tt.secure || a.ws != tt.ws {
			t.Errorf("%q: %+v %v, want %q", tt.in, a, err, tt.want)
		}
	}
}

func TestNewChecksItsConfig(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"no id":      {Broker: "tcp://h"},
		"no broker":  {ClientID: "a"},
		"tiny cap":   {Broker: "tcp://h", ClientID: "a", MaxPacket: 100},
		"huge cap":   {Broker: "tcp://h", ClientID: "a", MaxPacket: 1 << 30},
		"negative":   {Broker: "tcp://h", ClientID: "a", Queue: -1},
		"wild will":  {Broker: "tcp://h", ClientID: "a", Will: &Message{Topic: "a/#"}},
		"empty will": {Broker: "tcp://h", ClientID: "a", Will: &Message{}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// pki is a CA, a server certificate for 127.0.0.1 and a client certificate, as
// PEM files.
type pki struct{ dir string }

func (p pki) file(name string) string { return filepath.Join(p.dir, name) }

func newPKI(t *testing.T) pki {
	t.Helper()
	p := pki{t.TempDir()}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	caKey := p.write(t, "ca", ca, ca, nil)
	leaf := *ca
	leaf.IsCA, leaf.KeyUsage = false, x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	p.write(t, "server", &leaf, ca, caKey)
	p.write(t, "client", &leaf, ca, caKey)
	return p
}

func (p pki) write(t *testing.T, name string, cert, ca *x509.Certificate, caKey *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if caKey == nil {
		caKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, ca, &key.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for ext, b := range map[string]*pem.Block{
		".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: raw},
	} {
		if err := os.WriteFile(p.file(name+ext), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return key
}

// serve accepts connections for the broker.
func (b *broker) serve(t *testing.T, l net.Listener) {
	t.Cleanup(func() { _ = l.Close() })
	b.conns.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.conns.Go(func() { _ = b.srv.EstablishConnection("tcp", conn) })
		}
	})
}

// ServeHTTP takes MQTT over WebSocket.
func (b *broker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil || ws.Subprotocol() != "mqtt" || r.URL.Path != "/mqtt" {
		return
	}
	_ = b.srv.EstablishConnection("ws", &webSocket{Conn: ws})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Every kind of connection carries messages of all sizes both ways.
func TestTransports(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	conf := func(cert bool) *tls.Config {
		certFile, keyFile := "", ""
		if cert {
			certFile, keyFile = p.file("client.pem"), p.file("client.key")
		}
		c, err := TLSConfig(p.file("ca.pem"), certFile, keyFile, false)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	server := conf(false)
	pair, err := tls.LoadX509KeyPair(p.file("server.pem"), p.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	server.Certificates = []tls.Certificate{pair}
	mutual := server.Clone()
	mutual.ClientAuth, mutual.ClientCAs = tls.RequireAndVerifyClientCert, server.RootCAs

	for _, scheme := range []string{"tcp", "mqtt", "tls", "ssl", "mqtts", "mutual", "ws", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t)
			b.auth = func(user, pw string) bool { return user == "berlin" && pw == "secret" }
			cfg := Config{TLS: conf(scheme == "mutual"), Username: "berlin", Password: "secret", ClientID: "berlin:" + scheme}
			switch scheme {
			case "ws", "wss":
				srv := httptest.NewUnstartedServer(b)
				srv.TLS = server.Clone()
				if scheme == "wss" {
					srv.StartTLS()
				} else {
					srv.Start()
				}
				t.Cleanup(srv.Close)
				cfg.Broker = scheme + "://" + srv.Listener.Addr().String()
			default:
				l := listen(t)
				cfg.Broker = scheme + "://" + l.Addr().String()
				switch scheme {
				case "tls", "ssl", "mqtts":
					l = tls.NewListener(l, server)
				case "mutual":
					l, cfg.Broker = tls.NewListener(l, mutual), "tls://"+l.Addr().String()
				}
				b.serve(t, l)
			}
			c, stop := start(t, cfg, "a")
			next(t, c, isUp)
			for _, n := range []int{0, 1, 100, 5000, 130_000, 1 << 20} {
				if err := publish(c, "a", strings.Repeat("x", n)); err != nil {
					t.Fatal(err)
				}
				if m := receive(t, c); len(m.Payload) != n {
					t.Fatalf("%d bytes came as %d", n, len(m.Payload))
				}
			}
			stop()
		})
	}

	for name, tc := range map[string]struct {
		change func(*Config)
		want   string // in the error
	}{
		"unknown CA":   {func(c *Config) { c.TLS = nil }, "as tls: {ca: FILE} (--ca)"},
		"wrong name":   {func(c *Config) { c.TLS = conf(true); c.TLS.ServerName = "elsewhere" }, "as tls: {server_name: NAME} (--server-name)"},
		"no own cert":  {func(c *Config) { c.TLS = conf(false) }, "as tls: {cert: FILE, key: FILE} (--cert, --key)"},
		"no TLS":       {func(c *Config) { c.Broker = "tcp" + strings.TrimPrefix(c.Broker, "tls"); c.TLS = nil }, "the broker speaks TLS at this port: write tls://127.0.0.1:"},
		"bad password": {func(c *Config) { c.Password = "wrong" }, "not Authorized"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBroker(t)
			b.auth = func(_, pw string) bool { return pw == "secret" }
			l := listen(t)
			b.serve(t, tls.NewListener(l, mutual))
			cfg := Config{Broker: "tls://" + l.Addr().String(), TLS: conf(true), Password: "secret", Username: "berlin"}
			tc.change(&cfg)
			c, _ := start(t, cfg)
			s := next(t, c, func(State) bool { return true })
			if s.Up || s.Err == nil || name == "bad password" != errors.Is(s.Err, ErrRefused) || errors.Is(s.Err, ErrTLS) == errors.Is(s.Err, ErrRefused) {
				t.Errorf("state %+v", s)
			}
			if s.Err != nil && !strings.Contains(s.Err.Error(), tc.want) {
				t.Errorf("%v, want %s", s.Err, tc.want)
			}
		})
	}
}

// A port without TLS answers a handshake with its end, or with what is none.
func TestTLSToPlainPort(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", "\x20\x02\x00\x00"} {
		l := listen(t)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.ReadFull(c, make([]byte, 100))
				_, _ = io.WriteString(c, answer)
				_ = c.Close()
			}
		}()
		t.Cleanup(func() { _ = l.Close() })
		c, _ := start(t, Config{Broker: "tls://" + l.Addr().String()})
		s := next(t, c, func(State) bool { return true })
		if s.Up || s.Err == nil || !strings.Contains(s.Err.Error(), "write tcp://") {
			t.Errorf("answer %q: state %+v", answer, s)
		}
	}
}

func TestTLSConfigErrors(t *testing.T) {
	t.Parallel()
	p := newPKI(t)
	for name, f := range map[string][3]string{
		"no CA file":    {p.file("none.pem"), "", ""},
		"CA is no PEM":  {p.file("ca.key"), "", ""},
		"cert alone":    {"", p.file("client.pem"), ""},
		"key alone":     {"", "", p.file("client.key")},
		"key of others": {"", p.file("client.pem"), p.file("server.key")},
	} {
		if _, err := TLSConfig(f[0], f[1], f[2], false); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A WebSocket broker that is none answers with what it said.
func TestWebSocketRefused(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	c, _ := start(t, Config{Broker: "ws" + strings.TrimPrefix(srv.URL, "http")})
	if s := next(t, c, isDown); !strings.Contains(s.Err.Error(), "404") {
		t.Errorf("reason %v", s.Err)
	}
}

// A proxy before the broker gets the headers that it wants, and no log does.
func TestWebSocketHeaders(t *testing.T) {
	t.Parallel()
	got := make(chan http.Header, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case got <- r.Header:
		default:
		}
	}))
	t.Cleanup(srv.Close)
	var log syncBuffer
	c, _ := start(t, Config{
		Broker: "ws" + strings.TrimPrefix(srv.URL, "http"), Log: zerolog.New(&log),
		Headers: http.Header{"X-Api-Key": {"k-123"}, "x-lower": {"two words"}},
	})
	s := next(t, c, isDown)
	if h := <-got; h.Get("X-Api-Key") != "k-123" || h.Get("X-Lower") != "two words" {
		t.Errorf("headers %v", h)
	}
	if strings.Contains(log.String()+s.Err.Error(), "k-123") {
		t.Error("the secret is in the log")
	}
}

// What cannot be a header is refused by its name, and never shown.
func TestHeaderErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		broker string
		header http.Header
		want   string
	}{
		"no WebSocket": {"tcp://h", http.Header{"X": {"secret"}}, "ws:// and wss:// only"},
		"bad name":     {"ws://h", http.Header{"a b": {"secret"}}, `"a b" is no header`},
		"own header":   {"ws://h", http.Header{"sec-websocket-protocol": {"secret"}}, "is no header that can be added"},
		"line break":   {"ws://h", http.Header{"X": {"secret\r\nY: z"}}, "header X: the text"},
		"empty":        {"wss://h", http.Header{"X": {""}}, "header X: the text is empty"},
	} {
		_, err := New(Config{Broker: c.broker, ClientID: "a", Headers: c.header})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Levels are counted before connecting where the broker's name says that it counts.
func TestCheckLevels(t *testing.T) {
	t.Parallel()
	deep := "a/b/c/d/e/f/g/h/i"
	for _, c := range []struct {
		broker, topic, want string
	}{
		{"tls://x-ats.iot.eu-west-1.amazonaws.com", deep, "has 8 slashes, AWS IoT Core takes 7"},
		{"wss://x-ats.iot.eu-west-1.amazonaws.com/mqtt", deep, "has 8 slashes"},
		{"tls://x-ats.iot.eu-west-1.amazonaws.com", "a/b/c/d/e/f/g/h", ""},
		{"tls://broker.example", deep, ""},
		{"no url", deep, ""},
	} {
		err := CheckLevels(c.broker, c.topic)
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: %v, want %q", c.broker, c.topic, err, c.want)
		}
	}
}

// Run leaves no goroutine behind on real sockets; not parallel, for the count.
func TestNoGoroutineLeft(t *testing.T) { //nolint:paralleltest // counts goroutines of the process
	b := newBroker(t)
	l := listen(t)
	before := runtime.NumGoroutine()
	b.serve(t, l)
	for i := range 5 {
		// An id of its own each: mochi takes the subscriptions of an id away
		// when the connection before it ends late.
		c, stop := start(t, Config{Broker: "tcp://" + l.Addr().String(), ClientID: fmt.Sprint("berlin:", i)}, "a", "b")
		next(t, c, isUp)
		if err := publish(c, "a", "x"); err != nil {
			t.Fatal(err)
		}
		receive(t, c)
		stop()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c, err := New(Config{ClientID: "a", Broker: "tcp://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	b.conns.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
	}
}

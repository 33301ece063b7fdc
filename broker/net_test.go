package broker

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"
)

// authority makes certificates for tests.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue signs a certificate, by itself for the first, and writes name.pem and
// name.key.
func (a *authority) issue(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if c.Subject.CommonName == "" {
		c.Subject = pkix.Name{CommonName: name}
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", keyDER)
	return cert, key
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// client is the TLS configuration of a client, with a certificate of its own
// unless name is "".
func (a *authority) client(name string) *tls.Config {
	a.t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	cfg := &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	if name != "" {
		pair, err := tls.LoadX509KeyPair(a.file(name+".pem"), a.file(name+".key"))
		if err != nil {
			a.t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg
}

func secure(t *testing.T) (Config, *authority) {
	t.Helper()
	a := newAuthority(t)
	a.issue("server", &x509.Certificate{DNSNames: []string{"localhost"}})
	cfg := plant(t)
	cfg.TLS, cfg.WSS = "127.0.0.1:0", "127.0.0.1:0"
	cfg.CertFile, cfg.KeyFile, cfg.ClientCA = a.file("server.pem"), a.file("server.key"), a.file("ca.pem")
	return cfg, a
}

func dialWeb(t *testing.T, url string, tlsCfg *tls.Config, origin string) (net.Conn, error) {
	t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"mqtt"}, TLSClientConfig: tlsCfg, HandshakeTimeout: 10 * time.Second}
	h := http.Header{}
	if origin != "" {
		h.Set("Origin", origin)
	}
	ws, resp, err := d.Dial(url, h)
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	return &wsConn{Conn: ws.NetConn(), ws: ws}, nil
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	cfg, a := secure(t)
	cfg.WS = "127.0.0.1:0"
	b, _ := run(t, cfg)
	_, port, err := net.SplitHostPort(b.Addrs().WSS)
	if err != nil {
		t.Fatal(err)
	}
	for kind, addr := range map[string]string{"ws": "ws://" + b.Addrs().WS + "/", "wss": "wss://localhost:" + port + "/mqtt"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			conn, err := dialWeb(t, addr, a.client(""), "")
			if err != nil {
				t.Fatal(err)
			}
			c := join(t, conn, connectOpts{id: "aggregator:" + kind, user: "aggregator", password: "aggregator"})
			if code := c.subscribe("acme/_fl_v1/q/order", 1); code != 1 {
				t.Fatalf("SUBACK %#x", code)
			}
			long := strings.Repeat(kind, 300_000) // more than one frame, in slices on the way back
			if !c.publish("acme/_fl_v1/q/order", long, false) {
				t.Fatal("no PUBACK")
			}
			if _, what := c.message(); what != long {
				t.Errorf("got %d bytes back", len(what))
			}
			if c.publish("acme/gera/line-1/_fl_v1/q/update", "x", false) {
				t.Error("the access list does not hold over WebSocket")
			}
		})
	}
}

func TestWebSocketOrigin(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{Open: true, WS: "127.0.0.1:0", Origins: []string{"https://hmi.example"}})
	for origin, want := range map[string]bool{
		"":                           true,
		"http://" + b.Addrs().WS:     true,
		"https://hmi.example":        true,
		"https://evil.example":       false,
		"https://hmi.example.evil":   false,
		"null":                       false,
		"http://127.0.0.1.evil:1883": false,
	} {
		conn, err := dialWeb(t, "ws://"+b.Addrs().WS, nil, origin)
		if (err == nil) != want {
			t.Errorf("origin %q: %v, want allowed %v", origin, err, want)
		}
		if conn != nil {
			_ = conn.Close()
		}
	}
}

// WebSocket frames may be empty, and pings are answered: neither is read as fast as it
// comes.
func TestEmptyFramesHaveAPace(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{Open: true, WS: "127.0.0.1:0"})
	for name, frame := range map[string]string{"fragment": "\x00\x80\x00\x00\x00\x00", "message": "\x82\x80\x00\x00\x00\x00"} {
		conn, err := dialWeb(t, "ws://"+b.Addrs().WS, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		c := join(t, conn, connectOpts{id: name})
		under := conn.(*wsConn).Conn
		began := time.Now()
		if name == "fragment" {
			_, _ = under.Write([]byte("\x02\x80\x00\x00\x00\x00")) // the first
		}
		_, _ = under.Write([]byte(strings.Repeat(frame, 3<<20/2/len(frame))))
		if name == "fragment" {
			_, _ = under.Write([]byte("\x80\x80\x00\x00\x00\x00")) // the last
		}
		if !c.alive() || time.Since(began) < 300*time.Millisecond {
			t.Errorf("1.5 MiB of empty %ss are read in %v", name, time.Since(began))
		}
		if !c.publish("t", strings.Repeat("x", 1<<20), false) {
			t.Error("no PUBACK after that")
		}
	}
}

// Who asks the web server for anything else is answered once and goes.
func TestWebIsForMQTT(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{Open: true, WS: "127.0.0.1:0"})
	c := tcp(t, b.Addrs().WS)
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	got, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 400") {
		t.Errorf("%q, %v", got, err)
	}
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	cfg, a := secure(t)
	b, _ := run(t, cfg)
	uri, err := url.Parse("fedmq:berlin/line-1")
	if err != nil {
		t.Fatal(err)
	}
	a.issue("berlin", &x509.Certificate{Subject: pkix.Name{CommonName: "aggregator"}, URIs: []*url.URL{uri}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	a.issue("aggregator", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	a.issue("eve", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	for name, tc := range map[string]struct {
		cert string
		o    connectOpts
		want byte
	}{
		"URI wins over common name":      {"berlin", connectOpts{id: "berlin/line-1"}, 0},
		"not the common name as well":    {"berlin", connectOpts{id: "aggregator"}, 5},
		"common name":                    {"aggregator", connectOpts{id: "aggregator:x"}, 0},
		"user name that agrees":          {"aggregator", connectOpts{id: "aggregator:y", user: "aggregator"}, 0},
		"user name that does not agree":  {"aggregator", connectOpts{id: "aggregator", user: "op", password: "op"}, 5},
		"certificate of an unknown user": {"eve", connectOpts{id: "eve"}, 5},
		"password without certificate":   {"", connectOpts{id: "op", user: "op", password: "op"}, 0},
		"neither":                        {"", connectOpts{id: "op"}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := tls.Dial("tcp", b.Addrs().TLS, a.client(tc.cert))
			if err != nil {
				t.Fatal(err)
			}
			if _, code := dial(t, conn, tc.o); code != tc.want {
				t.Errorf("CONNACK %d, want %d", code, tc.want)
			}
		})
	}
	t.Run("certificate of another authority", func(t *testing.T) {
		t.Parallel()
		other := newAuthority(t)
		other.issue("aggregator", &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		cfg := a.client("")
		cfg.Certificates = other.client("aggregator").Certificates
		conn, err := tls.Dial("tcp", b.Addrs().TLS, cfg)
		if err == nil { // TLS 1.3 tells the client with its first read
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		if err == nil {
			t.Error("accepted")
		}
	})
	t.Run("over WebSocket", func(t *testing.T) {
		t.Parallel()
		_, port, _ := net.SplitHostPort(b.Addrs().WSS)
		conn, err := dialWeb(t, "wss://localhost:"+port, a.client("berlin"), "")
		if err != nil {
			t.Fatal(err)
		}
		join(t, conn, connectOpts{id: "berlin/line-1:ws"})
	})
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	b, _ := run(t, Config{Open: true, TCP: "127.0.0.1:0"})
	again, err := New(Config{Open: true, WS: "127.0.0.1:0", TCP: b.Addrs().TCP, DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	err = again.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), b.Addrs().TCP+" is in use") {
		t.Errorf("got %v", err)
	}
}

// syncBuffer is a log that a test reads while the broker may still write.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Payloads and passwords never reach the log, in none of the forms the
// library could print them in.
func TestLogHasNoPayload(t *testing.T) {
	t.Parallel()
	var lines syncBuffer
	cfg := plant(t)
	cfg.Log = zerolog.New(&lines).Level(zerolog.TraceLevel)
	b, stop := run(t, cfg)
	const canary = "CANARY-weights"
	forms := []string{canary, "67 65 78 65 82 89", "67,65,78,65,82,89", "43414e415259", "Q0FOQVJZ", "[67"}
	site := join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1"})
	if site.publish("acme/gera/line-1/_fl_v1/q/update", canary, true) {
		t.Fatal("a foreign publish was allowed")
	}
	site = join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1"})
	if site.publish("$SYS/x", canary, true) {
		t.Fatal("a publish to $SYS was allowed")
	}
	gone := join(t, b.Conn("aggregator"), connectOpts{id: "aggregator"})
	gone.subscribe("acme/+/line-1/_fl_v1/q/update", 1)
	_ = gone.conn.Close()
	site = join(t, b.Conn("berlin/line-1"), connectOpts{id: "berlin/line-1"})
	site.publish("acme/berlin/line-1/_fl_v1/q/update", canary, true)
	_, _ = site.conn.Write([]byte("\x36\x20\x00\x03abc" + canary)) // malformed
	_, _ = dial(t, b.Conn(""), connectOpts{id: "op", user: "op", password: canary})
	stop()
	got := lines.String()
	for _, f := range forms {
		if strings.Contains(got, f) {
			t.Errorf("the log has %q:\n%s", f, got)
		}
	}
	for _, want := range []string{"denied", "connection refused", "wrong password", "acme/gera/line-1/_fl_v1/q/update"} {
		if !strings.Contains(got, want) {
			t.Errorf("the log does not have %q:\n%s", want, got)
		}
	}
}

package broker

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// serveWeb serves MQTT over WebSocket, at any path.
func (b *Broker) serveWeb(l bound) {
	srv := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.upgrade(w, r, l.kind) }),
		ReadHeaderTimeout: connectWithin,
		IdleTimeout:       connectWithin,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // it quotes what clients sent
	}
	srv.SetKeepAlivesEnabled(false) // who asks for anything but MQTT is not let in, and goes
	ln := l.ln
	if l.kind == kindWSS {
		cfg := b.tls.Clone()
		cfg.NextProtos = []string{"http/1.1"} // WebSocket needs it
		ln = tls.NewListener(ln, cfg)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-b.stopping
		_ = srv.Close() // what it holds is closed by stop as well
	}()
	err := srv.Serve(ln)
	if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		b.cfg.Log.Error().Str("listener", l.kind).Err(err).Msg("web server failed")
	}
	<-done
}

// upgrade turns a request into an MQTT connection and serves it.
func (b *Broker) upgrade(w http.ResponseWriter, r *http.Request, kind string) {
	up := websocket.Upgrader{
		HandshakeTimeout: connectWithin,
		Subprotocols:     []string{"mqtt"},
		CheckOrigin:      func(r *http.Request) bool { return originAllowed(r, b.cfg.Origins) },
	}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	web := &wsConn{Conn: ws.NetConn(), ws: ws, pass: passOf(ws.NetConn())}
	web.pass.framed = true
	c := &conn{Conn: web, patience: b.patience, tls: r.TLS}
	if b.track(c) {
		b.serveConn(c, kind)
	}
}

// originAllowed lets in what is no browser (no Origin), pages of the broker's
// own host, and the listed origins.
func originAllowed(r *http.Request, origins []string) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.ContainsFunc(origins, func(o string) bool { return strings.EqualFold(o, origin) }) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// wsConn carries the byte stream of MQTT in binary WebSocket messages, whose
// borders mean nothing.
type wsConn struct {
	net.Conn
	ws   *websocket.Conn
	pass *pass
	r    io.Reader // the message being read, nil between two
}

var errText = errors.New("broker: WebSocket message is not binary")

func (c *wsConn) Read(p []byte) (int, error) {
	for {
		if c.r == nil {
			kind, r, err := c.ws.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errText
			}
			c.r = r
		}
		n, err := c.r.Read(p)
		if errors.Is(err, io.EOF) {
			c.r, err = nil, nil
		}
		if n > 0 && c.pass != nil {
			c.pass.waste = 0
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

func (c *wsConn) Write(p []byte) (int, error) {
	if err := c.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *wsConn) SetReadDeadline(t time.Time) error  { return c.ws.SetReadDeadline(t) }
func (c *wsConn) SetWriteDeadline(t time.Time) error { return c.ws.SetWriteDeadline(t) }

func (c *wsConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

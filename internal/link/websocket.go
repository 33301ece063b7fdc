package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gorilla/websocket"
)

// dialWebSocket opens MQTT over WebSocket (ws without conf, wss with).
func dialWebSocket(ctx context.Context, u *url.URL, conf *tls.Config) (net.Conn, error) {
	d := websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf,
		HandshakeTimeout: ConnectTimeout, Subprotocols: []string{"mqtt"},
	}
	ws, resp, err := d.DialContext(ctx, u.String(), nil)
	if resp != nil {
		defer func() { _ = resp.Body.Close() }()
	}
	switch {
	case err != nil && resp != nil:
		return nil, fmt.Errorf("%s: %w (HTTP %s)", u.Path, err, resp.Status)
	case err != nil && conf != nil:
		return nil, handshakeFailed(err)
	case err != nil:
		return nil, err
	}
	return &webSocket{Conn: ws}, nil
}

// webSocket makes a byte stream of the binary messages of a WebSocket. Packets
// and messages need not share borders, so sizes are checked by the guard, on
// the stream; nothing here allocates by a length the broker claims.
type webSocket struct {
	*websocket.Conn
	r io.Reader // rest of the current message
}

func (w *webSocket) Read(p []byte) (int, error) {
	for {
		if w.r == nil {
			kind, r, err := w.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, fmt.Errorf("%w: WebSocket text message", errPacket)
			}
			w.r = r
		}
		n, err := w.r.Read(p)
		if errors.Is(err, io.EOF) {
			w.r, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, err
	}
}

func (w *webSocket) Write(p []byte) (int, error) {
	if err := w.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetDeadline bounds reads at once, but a write only until it sets its own.
func (w *webSocket) SetDeadline(t time.Time) error { return w.NetConn().SetDeadline(t) }

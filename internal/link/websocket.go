package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/net/http/httpguts"
)

// dialWebSocket opens MQTT over WebSocket (ws without conf, wss with).
func dialWebSocket(ctx context.Context, u *url.URL, conf *tls.Config, headers http.Header) (net.Conn, error) {
	d := websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: conf,
		HandshakeTimeout: ConnectTimeout, Subprotocols: []string{"mqtt"},
	}
	ws, resp, err := d.DialContext(ctx, u.String(), headers)
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

// ownHeaders are those of the handshake itself.
var ownHeaders = []string{"Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol"}

// checkHeaders says what is wrong with the names or the texts of headers, without
// the texts: they are secrets.
func checkHeaders(a address, headers http.Header) error {
	if len(headers) > 0 && a.url != nil && !a.ws {
		return fmt.Errorf("link: headers go with ws:// and wss:// only, the broker is %s://", a.url.Scheme)
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		values := headers[name]
		if !httpguts.ValidHeaderFieldName(name) || slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)) {
			return fmt.Errorf("link: %q is no header that can be added to a WebSocket's request", name)
		}
		for _, v := range values {
			if v == "" || !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("link: header %s: the text is empty, or has characters that no header may have", name)
			}
		}
	}
	return nil
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

package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/proxy"
)

// address is a parsed broker URL.
type address struct {
	url    *url.URL // as given, with a port
	secure bool     // TLS below
	ws     bool     // WebSocket
}

// schemes are the URL schemes known, with their default ports.
var schemes = map[string]struct {
	port       string
	secure, ws bool
}{
	"tcp": {"1883", false, false}, "mqtt": {"1883", false, false},
	"ssl": {"8883", true, false}, "tls": {"8883", true, false}, "mqtts": {"8883", true, false},
	"ws": {"80", false, true}, "wss": {"443", true, true},
}

// parseBroker reads a broker URL. Credentials in it are refused, as URLs end
// in logs.
func parseBroker(s string) (address, error) {
	const want = "want tcp://, mqtt://, ssl://, tls://, mqtts://, ws:// or wss:// and a host"
	if s == "" {
		return address{}, errors.New("link: no broker: " + want)
	}
	u, err := url.Parse(s)
	if err != nil || !strings.Contains(s, "://") {
		return address{}, fmt.Errorf("link: broker is not a URL: %s", want)
	}
	if u.User != nil {
		return address{}, errors.New("link: broker URL carries a user name: set user name and password on their own")
	}
	sc, ok := schemes[u.Scheme]
	if !ok {
		return address{}, fmt.Errorf("link: broker scheme %q: %s", u.Scheme, want)
	}
	if err := checkHost(u); err != nil {
		return address{}, fmt.Errorf("link: broker %q %w", plain(s), err)
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), sc.port)
	}
	switch {
	case sc.ws && u.Path == "":
		u.Path = "/mqtt"
	case !sc.ws && strings.Trim(u.Path, "/") != "":
		return address{}, fmt.Errorf("link: broker %q: a path makes sense with ws:// and wss:// only", plain(s))
	}
	return address{url: u, secure: sc.secure, ws: sc.ws}, nil
}

// plain is a URL without what may be a secret in it.
func plain(s string) string {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		return s[:i]
	}
	return s
}

// checkHost refuses what no address can be.
func checkHost(u *url.URL) error {
	host := u.Hostname()
	switch port := u.Port(); {
	case host == "":
		return errors.New("has no host: want one after ://")
	case strings.Contains(host, ":") && !strings.HasPrefix(u.Host, "["):
		return fmt.Errorf("has more than one colon: an IPv6 address stands in brackets, %s://[::1]:1883", u.Scheme)
	case port != "":
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("has port %s: want 1 to 65535", port)
		}
	case strings.HasSuffix(u.Host, ":"):
		return errors.New("has no port after the colon: want 1 to 65535, or no colon")
	}
	if u.Fragment != "" || u.RawQuery != "" && !schemes[u.Scheme].ws {
		return errors.New("has more after the address, which would have no effect: want scheme, host and port")
	}
	return nil
}

// dial opens the byte stream: TCP, TLS or WebSocket, through the proxy that the
// environment names, if any.
func (c *Conn) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	conn, err := c.dialAny(ctx)
	if err != nil {
		return nil, fmt.Errorf("link: dial: %w", err)
	}
	return conn, nil
}

func (c *Conn) dialAny(ctx context.Context) (net.Conn, error) {
	if c.cfg.Dial != nil {
		return c.cfg.Dial(ctx)
	}
	u := c.current().url
	var conf *tls.Config
	if c.current().secure {
		conf = c.cfg.TLS.Clone()
		if conf == nil {
			conf = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if conf.ServerName == "" {
			conf.ServerName = u.Hostname()
		}
	}
	if c.current().ws {
		return dialWebSocket(ctx, u, conf, c.cfg.Headers)
	}
	conn, err := proxy.Dial(ctx, "tcp", u.Host)
	if err != nil || conf == nil {
		return conn, err
	}
	secure := tls.Client(conn, conf)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, handshakeFailed(err)
	}
	return secure, nil
}

package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/proxy"

	"github.com/fedmq/fedmq/internal/textfile"
)

// ErrTLS says that broker and settings disagree about TLS. Trying again does not
// help.
var ErrTLS = errors.New("link: TLS")

// disagreement is an ErrTLS in its own words.
type disagreement struct{ error }

func (d disagreement) Is(target error) bool { return target == ErrTLS }
func (d disagreement) Unwrap() error        { return d.error }

func disagree(format string, args ...any) error { return disagreement{fmt.Errorf(format, args...)} }

// TLSConfig loads a TLS configuration from PEM files. ca replaces the system's
// roots; cert and key (both or none) are this party's certificate for mutual
// TLS. TLS 1.2 is the least; insecure switches the check of the server's
// certificate off.
func TLSConfig(ca, cert, key string, insecure bool) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // asked for, and shown by the callers
	if ca != "" {
		var err error
		if cfg.RootCAs, err = textfile.Authorities(ca); err != nil {
			return nil, fmt.Errorf("link: CA file: %w", err)
		}
	}
	if (cert == "") != (key == "") {
		return nil, errors.New("link: a client certificate needs both its file and its key's file")
	}
	if cert != "" {
		pair, err := textfile.KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("link: client certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// handshakeFailed adds to the error of a TLS handshake what helps.
func handshakeFailed(err error) error {
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &name) && !hasNames(name.Certificate):
		return disagree("%w; make the broker a certificate with a subjectAltName", err)
	case errors.As(err, &name):
		return disagree("%w; connect by that name, or write it as tls: {server_name: NAME} (--server-name)", err)
	case errors.As(err, &unknown):
		return disagree("%w; give the certificate of the authority that signed the broker's as tls: {ca: FILE} (--ca)", err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return disagree("%w; renew the broker's certificate, or set this machine's clock", err)
	case errors.As(err, &record):
		return disagree("the broker does not speak TLS at this port: write tcp:// (ws://), or the port where it does, 8883 as a rule: %w", err)
	case hungUp(err):
		return fmt.Errorf("%w; a port without TLS does so: then write tcp:// (ws://), or the port with TLS, 8883 as a rule", err)
	}
	return rejected(err)
}

// hasNames reports that a certificate has names as clients check them since 2000.
func hasNames(c *x509.Certificate) bool {
	return c != nil && len(c.DNSNames)+len(c.IPAddresses)+len(c.URIs) > 0
}

// rejected adds what helps to a broker's refusal of this party's certificate,
// which with TLS 1.3 comes after the handshake.
func rejected(err error) error {
	switch alert := remoteAlert(err); {
	case alert == "tls: certificate required":
		return disagree("%w; give this client's certificate as tls: {cert: FILE, key: FILE} (--cert, --key)", err)
	case strings.Contains(alert, "certificate"):
		return disagree("%w: the broker does not take this client's certificate: want one of its authority that is in date", err)
	}
	return err
}

// remoteAlert is the text of a TLS alert of the other side, "" for other errors.
// Package crypto/tls gives it no type of its own.
func remoteAlert(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return op.Err.Error()
	}
	return ""
}

// hungUp reports that the other side ended the stream without a word.
func hungUp(err error) bool {
	return errors.Is(err, ErrCut) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// askTLS is how long a port is asked whether it speaks TLS.
const askTLS = 3 * time.Second

// plainRefused adds to the error of a CONNECT without TLS that the port speaks
// TLS, if it does: such a broker ends the link without a word.
func (c *Conn) plainRefused(ctx context.Context, err error) error {
	if c.cfg.Dial != nil || c.current().secure || c.current().ws || !hungUp(err) || c.plain.Load() {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTLS)
	defer cancel()
	if !speaksTLS(ctx, c.current().url.Host) {
		c.plain.Store(true) // asked once
		return err
	}
	return disagree("the broker speaks TLS at this port: write tls://%s, or the port without TLS (%v)", c.current().url.Host, err)
}

// speaksTLS reports whether a port answers a TLS handshake, be it with a refusal.
func speaksTLS(ctx context.Context, host string) bool {
	conn, err := proxy.Dial(ctx, "tcp", host)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	probe := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // nothing is said on it
	err = probe.HandshakeContext(ctx)
	return err == nil || remoteAlert(err) != ""
}

package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Probe5 is one bare connection in MQTT 5, to hear a broker's reasons. Use it from
// one goroutine, and end it with Close or Cut.
type Probe5 struct {
	// Nobody says that the last PUBACK told that nobody is subscribed to the topic; a
	// broker need not.
	Nobody bool

	conn net.Conn
	id   uint16
}

// OpenProbe5 connects once, as Config says. The error is a Reason5 that wraps
// ErrRefused when the broker says why not, and wraps ErrCut when it says nothing. A
// broker that speaks no MQTT 5 gives a Reason5 or ErrCut, too.
func OpenProbe5(ctx context.Context, cfg Config) (*Probe5, Announced, error) {
	c, err := New(cfg)
	if err != nil {
		return nil, Announced{}, err
	}
	raw, err := c.dialFirst(ctx)
	if err != nil {
		return nil, Announced{}, err
	}
	p := &Probe5{conn: raw}
	a, err := p.connect(ctx, &c.cfg)
	if err != nil {
		p.Cut()
		return nil, a, err
	}
	return p, a, nil
}

func (p *Probe5) connect(ctx context.Context, cfg *Config) (Announced, error) {
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	kind, body, err := p.exchange(ctx, connect5(cfg))
	switch {
	case err != nil:
		return Announced{}, err
	case kind == typeDisconnect:
		return Announced{}, fmt.Errorf("%w: %w", ErrRefused, goodbye5(body))
	case kind != typeConnack:
		return Announced{}, fmt.Errorf("%w: no CONNACK", errPacket)
	}
	a, err := connack5(body)
	if _, refused := refused5(err); refused {
		return a, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err == nil && a.Version != 5 {
		return a, fmt.Errorf("%w: %w", ErrRefused, Reason5{Code: noProtocol5})
	}
	return a, err
}

// Publish sends one message with QoS 1 and returns the broker's answer: nil, or
// a Reason5. A broker that ends the connection instead gives ErrCut, with its
// Reason5 if it said one.
func (p *Probe5) Publish(ctx context.Context, m Message) error {
	p.id++
	kind, body, err := p.exchange(ctx, publish5(&m, p.id))
	for err == nil {
		switch kind {
		case typePuback:
			id, reason, bad := puback5(body)
			switch {
			case bad != nil:
				return bad
			case id != p.id:
			case reason.Code >= 0x80:
				return reason
			default:
				p.Nobody = reason.Code == nobody5
				return nil
			}
		case typeDisconnect:
			return fmt.Errorf("%w: %w", ErrCut, goodbye5(body))
		}
		kind, body, err = p.exchange(ctx, nil)
	}
	return err
}

// exchange sends a packet and reads the next one of the broker.
func (p *Probe5) exchange(ctx context.Context, packet []byte) (kind byte, body []byte, err error) {
	stop := context.AfterFunc(ctx, func() { _ = p.conn.SetDeadline(time.Now()) })
	defer stop()
	if len(packet) > 0 {
		_, err = p.conn.Write(packet)
	}
	if err == nil {
		kind, body, err = readPacket5(p.conn)
	}
	switch {
	case err == nil:
		return kind, body, nil
	case ctx.Err() != nil:
		return 0, nil, ctx.Err()
	case errors.Is(err, errPacket):
		return 0, nil, err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.ErrClosedPipe):
		return 0, nil, ErrCut
	}
	return 0, nil, fmt.Errorf("%w: %w", ErrCut, err)
}

// Close says DISCONNECT, so that no Will is sent, and ends the connection.
func (p *Probe5) Close() {
	_ = p.conn.SetDeadline(time.Now().Add(goodbye))
	_, _ = p.conn.Write(disconnect5()) // the end either way
	p.Cut()
}

// Cut ends the connection without a word: the broker sends the Will.
func (p *Probe5) Cut() { _ = p.conn.Close() }

// NoMQTT5 reports whether OpenProbe5 failed because the broker speaks none.
func NoMQTT5(err error) bool {
	r, said := refused5(err)
	return said && r.Code == noProtocol5
}

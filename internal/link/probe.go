package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// ErrCut says that the broker ended the connection of a Probe.
var ErrCut = errors.New("link: the broker cut the connection")

// probeQueue is how many packets a Probe takes off the network unasked; what
// comes after waits there.
const probeQueue = 64

// Probe is one bare connection, to measure a broker with: no reconnect, no
// table, no quarantine, and nothing acknowledged before it is received. Use it
// from one goroutine, and end it with Close or Cut.
type Probe struct {
	// Present says that the broker had kept the session of this client id.
	Present bool

	guard  *guard
	in     chan packets.ControlPacket
	reader sync.WaitGroup
	id     uint16
	got    []*packets.PublishPacket // arrived while something else was waited for
}

// OpenProbe connects once, as Config says. persistent keeps the session at the
// broker beyond this connection. A refused CONNECT wraps ErrRefused.
func OpenProbe(ctx context.Context, cfg Config, persistent bool) (*Probe, error) {
	c, err := New(cfg)
	if err != nil {
		return nil, err
	}
	raw, err := c.dialFirst(ctx)
	if err != nil {
		return nil, err
	}
	p := &Probe{guard: newGuard(raw, c.cfg.MaxPacket, &c.bytesIn, &c.bytesOut), in: make(chan packets.ControlPacket, probeQueue)}
	p.guard.came, p.guard.qos = p.came, 2
	p.reader.Go(p.read)
	if err := p.connect(ctx, &c.cfg, persistent); err != nil {
		p.Cut()
		return nil, c.plainRefused(ctx, rejected(err))
	}
	return p, nil
}

func (p *Probe) connect(ctx context.Context, cfg *Config, persistent bool) error {
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	pk := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	pk.ProtocolName, pk.ProtocolVersion = "MQTT", 4
	pk.Keepalive = uint16(2 * KeepAlive / time.Second) // a Probe sends no PINGREQ
	pk.CleanSession = !persistent
	pk.ClientIdentifier = cfg.ClientID
	pk.UsernameFlag, pk.Username = cfg.Username != "", cfg.Username
	pk.PasswordFlag, pk.Password = cfg.Password != "", []byte(cfg.Password)
	if w := cfg.Will; w != nil {
		pk.WillFlag, pk.WillTopic, pk.WillMessage, pk.WillQos, pk.WillRetain = true, w.Topic, w.Payload, min(w.QoS, 1), w.Retained
	}
	if err := p.write(ctx, pk); err != nil {
		return fmt.Errorf("link: CONNECT: %w", err)
	}
	answer, err := p.packet(ctx)
	if err != nil {
		return fmt.Errorf("link: CONNECT: %w", err)
	}
	ack, ok := answer.(*packets.ConnackPacket)
	switch {
	case !ok:
		return fmt.Errorf("%w: no CONNACK", errPacket)
	case ack.ReturnCode != packets.Accepted:
		return fmt.Errorf("%w: %w", ErrRefused, reason4(ack.ReturnCode))
	}
	p.Present = ack.SessionPresent
	return nil
}

// reason4 is the return code of a CONNACK of MQTT 3.1.1, of those that the guard lets in.
type reason4 byte

func (r reason4) Error() string { return packets.ConnErrors[byte(r)].Error() }

func (p *Probe) read() {
	for {
		pk, err := packets.ReadPacket(p.guard)
		if err != nil {
			p.guard.fail(err, isPeer(err))
			return
		}
		select {
		case p.in <- pk:
		case <-p.guard.done:
			return
		}
	}
}

// came is told of each PUBLISH: one that was read past is only acknowledged.
func (p *Probe) came(m Message, id uint16, _ int) {
	if m.Payload == nil {
		if m.QoS == 1 {
			_, _ = p.guard.Write(appendPuback(nil, id))
		}
		return
	}
	pk := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	pk.TopicName, pk.Payload, pk.Qos, pk.Retain, pk.MessageID = m.Topic, m.Payload, m.QoS, m.Retained, id
	select {
	case p.in <- pk:
	case <-p.guard.done:
	}
}

// packet returns the next packet of the broker.
func (p *Probe) packet(ctx context.Context) (packets.ControlPacket, error) {
	select {
	case pk := <-p.in:
		return pk, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.guard.done:
	}
	select {
	case pk := <-p.in: // came before the end
		return pk, nil
	default:
		return nil, p.cut()
	}
}

// cut names what ended the connection.
func (p *Probe) cut() error {
	err, _ := p.guard.reason()
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) {
		return ErrCut
	}
	return fmt.Errorf("%w: %w", ErrCut, err)
}

// write sends one packet. A packet half written ruins the stream, so the end of
// ctx ends the connection.
func (p *Probe) write(ctx context.Context, pk packets.ControlPacket) error {
	stop := context.AfterFunc(ctx, func() { _ = p.guard.Close() })
	defer stop()
	if err := pk.Write(p.guard); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return p.cut()
	}
	return nil
}

func (p *Probe) nextID() uint16 {
	if p.id++; p.id == 0 {
		p.id = 1
	}
	return p.id
}

// Lost returns a channel that is closed with the connection.
func (p *Probe) Lost() <-chan struct{} { return p.guard.done }

// Close says DISCONNECT, so that no Will is sent, and ends the connection.
func (p *Probe) Close() {
	late := time.AfterFunc(goodbye, func() { _ = p.guard.Close() })
	defer late.Stop()
	_ = packets.NewControlPacket(packets.Disconnect).Write(p.guard) // the end either way
	p.Cut()
}

// Cut ends the connection without a word: the broker sends the Will.
func (p *Probe) Cut() {
	_ = p.guard.Close()
	p.reader.Wait()
}

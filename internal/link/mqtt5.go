package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The little of MQTT 5 that asks a broker for its reasons: CONNECT, CONNACK,
// PUBLISH, PUBACK, DISCONNECT. Everything else of fedmq is MQTT 3.1.1, which has
// no words for a refusal.

// maxPacket5 bounds what is read of such a broker: it owes only small packets.
const maxPacket5 = 64 << 10

// Announced is what a broker says of itself in its CONNACK.
type Announced struct {
	Version   byte   // 5, or 4: it does not speak MQTT 5, and the rest is not known
	MaxQoS    byte   // of what it takes, 0 to 2
	Retain    bool   // it keeps retained messages
	MaxPacket uint32 // bytes; 0: no limit
	Receive   uint16 // publishes unacknowledged at a time
	KeepAlive uint16 // seconds that it wants instead; 0: what was asked for
	ClientID  string // that it gives instead; "": the own one
}

// Reason5 is a reason code of MQTT 5, with what the broker adds in words.
type Reason5 struct {
	Code byte
	Text string
}

func (r Reason5) Error() string {
	name := reasons5[r.Code]
	if name == "" {
		name = fmt.Sprintf("reason 0x%02x", r.Code)
	}
	if r.Text != "" {
		name += fmt.Sprintf(" (%.200q)", r.Text)
	}
	return name
}

// Is compares codes: the words are the broker's own.
func (r Reason5) Is(target error) bool {
	t, ok := target.(Reason5)
	return ok && t.Code == r.Code
}

// Reason codes that are told apart.
const (
	Denied5      = 0x87 // not authorized
	nobody5      = 0x10 // no subscriber: of a PUBACK, all is well
	noProtocol5  = 0x84
	badClientID5 = 0x85
	takenOver5   = 0x8e
	noRetain5    = 0x9a
	noQoS5       = 0x9b
)

// reasons5 are the reason codes of a refusal (MQTT 5, section 2.4).
var reasons5 = map[byte]string{
	0x80: "unspecified error", 0x81: "malformed packet", 0x82: "protocol error", 0x83: "implementation specific error",
	noProtocol5: "unsupported protocol version", badClientID5: "client identifier not valid", 0x86: "bad user name or password",
	Denied5: "not authorized", 0x88: "server unavailable", 0x89: "server busy", 0x8a: "banned", 0x8b: "server shutting down",
	0x8c: "bad authentication method", 0x8d: "keep alive timeout", takenOver5: "session taken over", 0x90: "topic name invalid",
	0x93: "receive maximum exceeded", 0x95: "packet too large", 0x96: "message rate too high", 0x97: "quota exceeded",
	0x98: "administrative action", 0x99: "payload format invalid", noRetain5: "retain not supported", noQoS5: "QoS not supported",
	0x9c: "use another server", 0x9d: "server moved", 0x9f: "connection rate exceeded", 0xa0: "maximum connect time",
}

// errMalformed5: bytes that are no packet of MQTT 5.
var errMalformed5 = fmt.Errorf("%w: not MQTT 5", errPacket)

// connect5 is the CONNECT of a party, with its Will.
func connect5(cfg *Config) []byte {
	const clean, will, willRetain, hasPassword, hasUser = 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7
	flags := byte(clean)
	rest := text5(nil, cfg.ClientID)
	if w := cfg.Will; w != nil {
		flags |= will | min(w.QoS, 1)<<3
		if w.Retained {
			flags |= willRetain
		}
		rest = append(rest, 0) // no properties
		rest = text5(rest, w.Topic)
		rest = text5(rest, string(w.Payload))
	}
	if cfg.Username != "" {
		flags |= hasUser
		rest = text5(rest, cfg.Username)
	}
	if cfg.Password != "" {
		flags |= hasPassword
		rest = text5(rest, cfg.Password)
	}
	body := text5(nil, "MQTT")
	body = append(body, 5, flags)
	body = binary.BigEndian.AppendUint16(body, uint16(KeepAlive.Seconds()))
	body = append(body, 0) // no properties
	return packet5(1<<4, append(body, rest...))
}

// publish5 is a PUBLISH with QoS 1.
func publish5(m *Message, id uint16) []byte {
	head := byte(typePublish<<4 | 1<<1)
	if m.Retained {
		head |= 1
	}
	body := text5(nil, m.Topic)
	body = binary.BigEndian.AppendUint16(body, id)
	body = append(body, 0) // no properties
	return packet5(head, append(body, m.Payload...))
}

// disconnect5 is a polite DISCONNECT: the Will is not sent.
func disconnect5() []byte { return packet5(typeDisconnect<<4, nil) }

func text5(b []byte, s string) []byte {
	s = s[:min(len(s), 1<<16-1)]
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...) // just bounded
}

func packet5(head byte, body []byte) []byte {
	return append(appendHeader(nil, head, len(body)), body...)
}

// appendHeader writes the fixed header of a packet that has so many bytes more.
func appendHeader(b []byte, first byte, length int) []byte {
	b = append(b, first)
	for ; length >= 0x80; length >>= 7 {
		b = append(b, byte(length)|0x80)
	}
	return append(b, byte(length))
}

// readPacket5 reads one packet of at most maxPacket5 bytes.
func readPacket5(r io.Reader) (kind byte, body []byte, err error) {
	var b [1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, nil, err
	}
	kind = b[0] >> 4
	n, shift := 0, 0
	for {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return 0, nil, err
		}
		n |= int(b[0]&0x7f) << shift
		if shift += 7; b[0] < 0x80 {
			break
		}
		if shift > 21 {
			return 0, nil, errMalformed5
		}
	}
	if n > maxPacket5 {
		return 0, nil, fmt.Errorf("%w: a packet of %d bytes", errPacket, n)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return kind, body, err
}

// connack5 reads the body of a CONNACK. A refusal is an error that wraps
// ErrRefused; a broker that answers in the form of 3.1.1 has version 4.
func connack5(body []byte) (Announced, error) {
	a := Announced{Version: 5, MaxQoS: 2, Retain: true, Receive: 1<<16 - 1}
	if len(body) < 2 {
		return a, errMalformed5
	}
	code := body[1]
	if len(body) == 2 { // 3.1.1: no properties
		if code == 0 {
			return Announced{Version: 4}, nil
		}
		return Announced{Version: 4}, Reason5{Code: noProtocol5}
	}
	text, err := properties5(body[2:], func(id byte, v uint32, s string) {
		switch id {
		case 0x12:
			a.ClientID = s
		case 0x13:
			a.KeepAlive = uint16(v) // of two bytes
		case 0x21:
			a.Receive = uint16(v) // of two bytes
		case 0x24:
			a.MaxQoS = byte(min(v, 2))
		case 0x25:
			a.Retain = v != 0
		case 0x27:
			a.MaxPacket = v
		}
	})
	if err != nil {
		return a, err
	}
	if code != 0 {
		return a, Reason5{Code: code, Text: text}
	}
	return a, nil
}

// puback5 reads the body of a PUBACK.
func puback5(body []byte) (id uint16, r Reason5, err error) {
	if len(body) < 2 {
		return 0, r, errMalformed5
	}
	id = binary.BigEndian.Uint16(body)
	if len(body) > 2 {
		r.Code = body[2]
	}
	if len(body) > 3 {
		r.Text, err = properties5(body[3:], func(byte, uint32, string) {})
	}
	return id, r, err
}

// goodbye5 reads the body of a broker's DISCONNECT.
func goodbye5(body []byte) (r Reason5) {
	if len(body) > 0 {
		r.Code = body[0]
	}
	if len(body) > 1 {
		r.Text, _ = properties5(body[1:], func(byte, uint32, string) {}) // the code is enough
	}
	return r
}

// properties5 reads a list of properties, all of what follows, and returns the
// reason in words, if it is among them. see gets numbers and texts.
func properties5(b []byte, see func(id byte, v uint32, s string)) (reason string, err error) {
	n, b, err := number5(b)
	if err != nil || int(n) != len(b) {
		return "", errMalformed5
	}
	for len(b) > 0 {
		id := b[0]
		var v uint32
		var s string
		if v, s, b, err = property5(id, b[1:]); err != nil {
			return "", err
		}
		if id == 0x1f {
			reason = s
		}
		see(id, v, s)
	}
	return reason, nil
}

// property5 takes the value of a property off.
func property5(id byte, b []byte) (v uint32, s string, rest []byte, err error) {
	n := 0
	switch id {
	case 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a:
		n = 1
	case 0x13, 0x21, 0x22, 0x23:
		n = 2
	case 0x02, 0x11, 0x18, 0x27:
		n = 4
	case 0x0b:
		v, rest, err = number5(b)
		return v, "", rest, err
	case 0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1a, 0x1c, 0x1f:
		s, rest, err = string5(b)
		return 0, s, rest, err
	case 0x26: // a pair
		if _, b, err = string5(b); err != nil {
			return 0, "", nil, err
		}
		s, rest, err = string5(b)
		return 0, s, rest, err
	}
	if n == 0 || len(b) < n {
		return 0, "", nil, errMalformed5
	}
	for _, x := range b[:n] {
		v = v<<8 | uint32(x)
	}
	return v, "", b[n:], nil
}

func string5(b []byte) (string, []byte, error) {
	if len(b) < 2 {
		return "", nil, errMalformed5
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return "", nil, errMalformed5
	}
	return string(b[2 : 2+n]), b[2+n:], nil
}

// number5 takes a number of one to four bytes off.
func number5(b []byte) (uint32, []byte, error) {
	var v uint32
	for i := 0; i < 4 && i < len(b); i++ {
		v |= uint32(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			return v, b[i+1:], nil
		}
	}
	return 0, nil, errMalformed5
}

// refused5 reports whether an error is a broker's word for no, and which.
func refused5(err error) (Reason5, bool) { return errors.AsType[Reason5](err) }

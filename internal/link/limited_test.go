package link

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fedmq/fedmq/internal/bubble"
)

// limited is a broker that says no, as Mosquitto and AWS IoT Core do: with a
// reason where MQTT 5 is spoken, else by closing.
type limited struct {
	mode string // noretain, qos0max, full, taken, prefix, aws, user, acl; "" says yes
	old  bool   // speaks MQTT 3.1.1 only
	mute bool   // closes even where MQTT 5 has a reason
	code byte   // of MQTT 3.1.1, for every CONNECT; 0: it closes instead

	mu    sync.Mutex
	dials int
	goes  sync.WaitGroup
}

func newLimited(t *testing.T, mode string, old, mute bool) *limited {
	t.Helper()
	l := &limited{mode: mode, old: old, mute: mute}
	t.Cleanup(l.goes.Wait)
	return l
}

func (l *limited) dial(context.Context) (net.Conn, error) {
	l.mu.Lock()
	l.dials++
	l.mu.Unlock()
	client, server := net.Pipe()
	l.goes.Go(func() {
		defer func() { _ = server.Close() }()
		l.serve(server)
	})
	return client, nil
}

// said is a CONNECT as the fixture reads it.
type said struct {
	version, flags byte
	id, will       string
}

func (s said) hasWill() bool { return s.flags&4 != 0 }

func readConnect(body []byte) (s said, err error) {
	name, b, err := string5(body)
	if err != nil || name != "MQTT" || len(b) < 4 {
		return s, errors.New("no CONNECT")
	}
	s.version, s.flags, b = b[0], b[1], b[4:]
	skip := func() {
		if s.version == 5 && err == nil {
			var n uint32
			if n, b, err = number5(b); err == nil {
				b = b[n:]
			}
		}
	}
	skip()
	if s.id, b, err = string5(b); err != nil || !s.hasWill() {
		return s, err
	}
	skip()
	s.will, _, err = string5(b)
	return s, err
}

// no is the reason code for a CONNECT, 0 to take it.
func (l *limited) no(s said) byte {
	switch {
	case l.mode == "noretain" && s.hasWill() && s.flags&(1<<5) != 0:
		return noRetain5
	case l.mode == "qos0max" && s.hasWill() && s.flags&(3<<3) != 0:
		return noQoS5
	case l.mode == "taken":
		return takenOver5
	case l.mode == "full":
		return 0x97
	case l.mode == "prefix" && !strings.HasPrefix(s.id, "fedmq"):
		return badClientID5
	case l.mode == "aws" && strings.Count(s.will, "/") > AWSSlashes:
		return 0x90
	case l.mode == "user":
		return Denied5
	case l.mode == "acl" && s.hasWill():
		return Denied5
	}
	return 0
}

func (l *limited) serve(conn net.Conn) {
	_, body, err := readPacket5(conn)
	if err != nil {
		return
	}
	s, err := readConnect(body)
	if err != nil {
		return
	}
	if s.version == 5 && l.old {
		_, _ = conn.Write(packet5(typeConnack<<4, []byte{0, 1})) // unacceptable protocol version
		return
	}
	if l.code != 0 {
		_, _ = conn.Write(packet5(typeConnack<<4, []byte{0, l.code}))
		return
	}
	code := l.no(s)
	if code != 0 && (s.version == 4 || l.mute) {
		return
	}
	if _, err := conn.Write(l.connack(s.version, code)); err != nil || code != 0 {
		return
	}
	l.after(conn, s)
}

func (l *limited) connack(version, code byte) []byte {
	if version != 5 {
		return packet5(typeConnack<<4, []byte{0, code})
	}
	var props []byte
	switch {
	case l.mode == "noretain":
		props = []byte{0x25, 0}
	case l.mode == "qos0max":
		props = []byte{0x24, 0}
	case code != 0:
		props = append([]byte{0x1f, 0, 3}, "why"...)
	}
	return packet5(typeConnack<<4, append([]byte{0, code, byte(len(props))}, props...))
}

// after takes what follows a CONNACK: SUBSCRIBE and PUBLISH, which AWS counts the
// slashes of.
func (l *limited) after(conn net.Conn, s said) {
	for {
		kind, body, err := readPacket5(conn)
		if err != nil || kind == typeDisconnect {
			return
		}
		if l.mode == "aws" && bytes.Count(body, []byte("/")) > AWSSlashes {
			return
		}
		var answer []byte
		switch kind {
		case typeSubscribe:
			answer = packet5(typeSuback<<4, []byte{body[0], body[1], 1})
		case typePublish:
			topic, rest, err := string5(body)
			if err != nil || len(rest) < 2 {
				return
			}
			id := binary.BigEndian.AppendUint16(nil, binary.BigEndian.Uint16(rest))
			if s.version == 5 && strings.HasPrefix(topic, "denied") {
				id = append(id, Denied5)
			}
			answer = packet5(typePuback<<4, id)
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// What a broker that says no has against a party is found, whether it speaks MQTT 5
// or not, and whether it says so or closes.
func TestWhy(t *testing.T) {
	t.Parallel()
	deep := "umh/v1/acme/site/area/line/cell/unit/_fl_v1/state"
	for _, c := range []struct {
		name, mode string
		old, mute  bool
		code       byte
		will       string
		want       []string // parts of the causes, in order; none: all is well
	}{
		{name: "all is well"},
		{name: "all is well, old", old: true},
		{name: "noretain", mode: "noretain", want: []string{"retain not supported"}},
		{name: "noretain, mute", mode: "noretain", mute: true, want: []string{"announces that it keeps no retained"}},
		{name: "noretain, old", mode: "noretain", old: true, want: []string{"Last Will that is retained: fedmq needs retained messages"}},
		{name: "qos0max", mode: "qos0max", want: []string{"QoS not supported"}},
		{name: "qos0max, mute", mode: "qos0max", mute: true, want: []string{"announces QoS 0"}},
		{name: "qos0max, old", mode: "qos0max", old: true, want: []string{"Last Will with QoS 1: fedmq needs QoS 1"}},
		{name: "full", mode: "full", want: []string{"quota exceeded (\"why\"): it is full"}},
		{name: "full, mute", mode: "full", mute: true, want: []string{"max_connections"}},
		{name: "full, old", mode: "full", old: true, want: []string{"max_connections"}},
		{name: "taken over", mode: "taken", want: []string{"session taken over (\"why\"): another process uses the client id \"me:site\": " + oneProcess}},
		{name: "prefix", mode: "prefix", want: []string{"client identifier not valid", `not "me:site": its client ids may want a prefix`}},
		{name: "prefix, mute", mode: "prefix", mute: true, want: []string{`not "me:site": its client ids may want a prefix`}},
		{name: "prefix, old", mode: "prefix", old: true, want: []string{"clientid_prefixes"}},
		{name: "user", mode: "user", want: []string{"not authorized", "under any client id: correct username"}},
		{name: "id, by a code", old: true, code: 2, want: []string{"the broker says: identifier rejected", "clientid_prefixes"}},
		{name: "unavailable, by a code", old: true, code: 3, want: []string{"the broker says: server Unavailable: it is full, or not ready yet"}},
		{name: "password, by a code", old: true, code: 4, want: []string{"bad user name or password: correct username and password_file"}},
		{name: "user, by a code", old: true, code: 5, want: []string{"the broker says: not Authorized", "under any client id: correct username"}},
		{name: "acl of the Will", mode: "acl", want: []string{"not authorized", `user "u" must be allowed to write acme/a/_fl_v1/state`}},
		{name: "levels", mode: "aws", will: deep, want: []string{"has 9 slashes", "topic name invalid", "must be allowed to write"}},
		{name: "levels, old", mode: "aws", old: true, will: deep, want: []string{"has 9 slashes", "must be allowed to write"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := newLimited(t, c.mode, c.old, c.mute)
			l.code = c.code
			if c.will == "" {
				c.will = "acme/a/_fl_v1/state"
			}
			_, causes := Why(t.Context(), Config{
				ClientID: "me:site", Username: "u", Password: "p", Dial: l.dial,
				Will: &Message{Topic: c.will, Payload: []byte("{}"), QoS: 1, Retained: true},
			})
			if len(causes) < len(c.want) || len(c.want) == 0 && len(causes) > 0 {
				t.Fatalf("causes %q, want %q", causes, c.want)
			}
			for i, want := range c.want {
				if !strings.Contains(causes[i], want) {
					t.Errorf("cause %d is %q, want %q", i+1, causes[i], want)
				}
			}
			if l.dials > 10 {
				t.Errorf("%d connections", l.dials)
			}
		})
	}
}

// PUBACK has a reason in MQTT 5.
func TestProbe5Publishes(t *testing.T) {
	t.Parallel()
	l := newLimited(t, "", false, false)
	p, a, err := OpenProbe5(t.Context(), Config{ClientID: "me", Dial: l.dial})
	if err != nil || a.Version != 5 || a.MaxQoS != 2 || !a.Retain {
		t.Fatalf("%+v %v", a, err)
	}
	defer p.Close()
	if err := p.Publish(t.Context(), Message{Topic: "ok", Payload: []byte("x")}); err != nil {
		t.Error(err)
	}
	if err := p.Publish(t.Context(), Message{Topic: "denied/x"}); !errors.Is(err, Reason5{Code: Denied5}) {
		t.Errorf("denied: %v", err)
	}
}

// The bytes of a broker never panic and never choose how much is allocated.
func FuzzMQTT5(f *testing.F) {
	f.Add([]byte{0x20, 3, 0, 0, 0})
	f.Add([]byte{0x20, 9, 0, 0x97, 6, 0x1f, 0, 3, 'w', 'h', 'y'})
	f.Add([]byte{0x20, 17, 0, 0, 14, 0x24, 0, 0x25, 0, 0x21, 0, 9, 0x27, 0, 1, 0, 0, 0x13, 0, 9})
	f.Add([]byte{0x40, 4, 0, 1, 0x87, 0})
	f.Add([]byte{0xe0, 2, 0x8b, 0})
	f.Add([]byte{0x20, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			kind, body, err := readPacket5(r)
			if err != nil {
				if len(body) > maxPacket5 {
					t.Errorf("%d bytes allocated", len(body))
				}
				return
			}
			switch kind {
			case typeConnack:
				_, _ = connack5(body)
			case typePuback:
				_, _, _ = puback5(body)
			case typeDisconnect:
				_ = goodbye5(body).Error()
			}
		}
	})
}

// What is sent reads back.
func TestPackets5(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 126, 127, 128, 16_383, 16_384, maxPacket5} {
		kind, body, err := readPacket5(bytes.NewReader(packet5(typePublish<<4, make([]byte, n))))
		if err != nil || kind != typePublish || len(body) != n {
			t.Errorf("%d bytes: type %d, %d bytes, %v", n, kind, len(body), err)
		}
	}
	_, _, err := readPacket5(bytes.NewReader(packet5(0x20, make([]byte, maxPacket5+1))))
	if !errors.Is(err, errPacket) {
		t.Errorf("over the limit: %v", err)
	}
	if _, _, err := readPacket5(bytes.NewReader([]byte{0x20, 2, 0})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("too short: %v", err)
	}
	cfg := Config{ClientID: "me", Username: "u", Password: "p", Will: &Message{Topic: "t", Payload: []byte("w"), QoS: 1, Retained: true}}
	_, body, err := readPacket5(bytes.NewReader(connect5(&cfg)))
	if err != nil {
		t.Fatal(err)
	}
	s, err := readConnect(body)
	if err != nil || s != (said{5, 1<<7 | 1<<6 | 1<<5 | 1<<3 | 1<<2 | 1<<1, "me", "t"}) {
		t.Errorf("%+v %v", s, err)
	}
}

// A party asks after the second no, not after the first, and once an hour.
func TestAsksWhy(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		l := newLimited(t, "full", false, false)
		c, _ := start(t, Config{Dial: l.dial})
		next(t, c, isDown)
		if n := len(c.Stats().Causes); n != 0 {
			t.Errorf("%d causes after the first no", n)
		}
		next(t, c, isDown)
		time.Sleep(time.Second)
		if got := c.Stats().Causes; len(got) != 1 || !strings.Contains(got[0], "it is full") {
			t.Errorf("causes %q", got)
		}
		l.mu.Lock()
		before := l.dials
		l.mu.Unlock()
		time.Sleep(59 * time.Minute)
		l.mu.Lock()
		tried := l.dials - before
		l.mu.Unlock()
		if attempts := int(c.Stats().Attempts); tried > attempts {
			t.Errorf("%d connections in %d attempts", tried, attempts)
		}
		l.mu.Lock()
		l.mode = ""
		l.mu.Unlock()
		next(t, c, isUp)
		if got := c.Stats().Causes; len(got) != 0 {
			t.Errorf("causes %q of a link that is up", got)
		}
	})
}

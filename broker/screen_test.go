package broker

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// feed is a connection whose client has said all it says.
type feed struct {
	net.Conn
	r io.Reader
}

func (f *feed) Read(p []byte) (int, error)     { return f.r.Read(p) }
func (f *feed) Write(p []byte) (int, error)    { return len(p), nil }
func (*feed) Close() error                     { return nil }
func (*feed) SetDeadline(time.Time) error      { return nil }
func (*feed) SetReadDeadline(time.Time) error  { return nil }
func (*feed) SetWriteDeadline(time.Time) error { return nil }
func (*feed) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func newScreen(r io.Reader, before *atomic.Int64) *screen {
	return &screen{r: r, most: DefaultMaxPacket, before: before, seen: func(*packet) {}}
}

// hello is a CONNECT of each version.
var hello = map[byte]string{
	3: "\x10\x10\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x02me",
	4: "\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02me",
	5: "\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02me",
}

// passes screens what a client of the version says after its CONNECT, and lets the
// library's decoders read what passes. It returns the packets they made.
func passes(t *testing.T, version byte, said []byte) (made []packets.Packet, err error) {
	t.Helper()
	return passesAs(t, hello[version], version, said)
}

func passesAs(t *testing.T, first string, version byte, said []byte) (made []packets.Packet, err error) {
	t.Helper()
	var before atomic.Int64
	s := newScreen(io.MultiReader(strings.NewReader(first), bytes.NewReader(said)), &before)
	return made, readAll(s, version, func(pk *packets.Packet, _ int) {
		if payload, _ := s.lifted(); payload != nil {
			pk.Payload = payload
		}
		if pk.FixedHeader.Type != packets.Connect || first == "" {
			made = append(made, *pk)
		}
	}, func(err error) {
		t.Fatalf("version %d, % x: the library does not take what passed: %v", version, said, err)
	})
}

// readAll lets the library's decoders read what passes the screen; each hears of a
// packet and its bytes, wrong of what they do not take.
func readAll(s *screen, version byte, each func(*packets.Packet, int), wrong func(error)) error {
	server := mqtt.New(&mqtt.Options{Capabilities: capabilities(DefaultMaxPacket)})
	cl := server.NewClient(&feed{r: s}, "test", "", false)
	cl.Properties.ProtocolVersion = version
	for {
		before := server.Info.BytesReceived
		fh := new(packets.FixedHeader)
		err := cl.ReadFixedHeader(fh)
		if err == nil {
			var pk packets.Packet
			if pk, err = cl.ReadPacket(fh); err == nil {
				each(&pk, int(server.Info.BytesReceived-before))
			}
		}
		if errors.As(err, new(packets.Code)) {
			wrong(err)
		}
		if err != nil {
			return err
		}
	}
}

// ones are packets that a client may send, by version, "" where MQTT 3.1.1 has none.
var ones = []struct{ name, v4, v5 string }{
	{"PUBLISH", "\x30\x05\x00\x01ahi", "\x30\x06\x00\x01a\x00hi"},
	{"PUBLISH empty", "\x31\x03\x00\x01a", "\x31\x04\x00\x01a\x00"},
	{"PUBLISH QoS 1 again", "\x3a\x07\x00\x01a\x00\x07hi", "\x3a\x08\x00\x01a\x00\x07\x00hi"},
	{"PUBLISH QoS 2", "\x34\x05\x00\x01a\x00\x07", "\x34\x06\x00\x01a\x00\x07\x00"},
	{"PUBLISH with properties", "", "\x32\x28\x00\x01a\x00\x07\x20\x01\x01\x02\x00\x00\x00\x09\x03\x00\x01c\x08\x00\x01r\x09\x00\x02\x00\xff" +
		"\x26\x00\x00\x00\x00\x26\x00\x01k\x00\x01v" + "hi"},
	{"PUBACK", "\x40\x02\x00\x07", "\x40\x02\x00\x07"},
	{"PUBACK with a reason", "", "\x40\x03\x00\x07\x10"},
	{"PUBREC with a reason's text", "", "\x50\x08\x00\x07\x80\x04\x1f\x00\x01x"},
	{"PUBREL", "\x62\x02\x00\x07", "\x62\x04\x00\x07\x00\x00"},
	{"PUBCOMP", "\x70\x02\x00\x07", "\x70\x02\x00\x07"},
	{"SUBSCRIBE", "\x82\x0a\x00\x01\x00\x01a\x01\x00\x01b\x02", "\x82\x0b\x00\x01\x00\x00\x01a\x2d\x00\x01b\x00"},
	{"SUBSCRIBE with an id", "", "\x82\x0a\x00\x01\x03\x0b\x80\x01\x00\x01a\x00"},
	{"UNSUBSCRIBE", "\xa2\x08\x00\x01\x00\x01a\x00\x01b", "\xa2\x06\x00\x01\x00\x00\x01a"},
	{"PINGREQ", "\xc0\x00", "\xc0\x00"},
	{"DISCONNECT", "\xe0\x00", "\xe0\x00"},
	{"DISCONNECT with the Will", "", "\xe0\x01\x04"},
	{"DISCONNECT with an expiry", "", "\xe0\x07\x00\x05\x11\x00\x00\x00\x0a"},
	{"AUTH", "", "\xf0\x06\x18\x04\x15\x00\x01m"},
}

func said(version byte, i int) string {
	if version == 5 {
		return ones[i].v5
	}
	return ones[i].v4
}

// What a client may send passes; nothing passes of what is cut, or longer than it
// says it is, or has a bit that is none of its own; and the library takes all that
// passes.
func TestScreen(t *testing.T) {
	t.Parallel()
	for _, version := range []byte{4, 5} {
		for i, one := range ones {
			whole := said(version, i)
			if whole == "" {
				continue
			}
			if made, err := passes(t, version, []byte(whole)); len(made) != 1 || !errors.Is(err, io.EOF) {
				t.Errorf("%s of version %d: %d passed, %v", one.name, version, len(made), err)
				continue
			}
			payload := whole[0]>>4 == packets.Publish
			for n := 2; n < len(whole); n++ { // as if it ended there
				short := []byte(whole[:1] + string(rune(n-2)) + whole[2:n])
				if made, err := passes(t, version, short); !payload && len(made) == 1 && !shorterIsRight(short) {
					t.Errorf("%s of version %d cut to % x passes (%v)", one.name, version, short, err)
				}
			}
			long := []byte(whole[:1] + string(rune(len(whole)+3)) + whole[2:] + "\x00\x00\x00\x00\x00")
			if made, _ := passes(t, version, long); len(made) == 1 && !payload {
				t.Errorf("%s of version %d with bytes behind its end passes", one.name, version)
			}
		}
	}
}

// shorterIsRight: MQTT 5 lets the end of some packets be left out, and a list be
// shorter.
func shorterIsRight(p []byte) bool {
	switch p[0] >> 4 {
	case packets.Puback, packets.Pubrec, packets.Pubrel:
		return len(p) <= 5
	case packets.Disconnect:
		return len(p) <= 3
	case packets.Subscribe, packets.Unsubscribe:
		return len(p) < 12
	}
	return false
}

// What is wrong with a packet ends the connection.
func TestScreenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		version byte
		said    string
	}{
		{"SUBSCRIBE without options, which ends the library", 5, "\x82\x06\x00\x01\x00\x00\x01a"},
		{"SUBSCRIBE without a filter", 5, "\x82\x03\x00\x01\x00"},
		{"SUBSCRIBE with reserved bits", 5, "\x82\x07\x00\x01\x00\x00\x01a\x40"},
		{"SUBSCRIBE with QoS 3", 4, "\x82\x06\x00\x01\x00\x01a\x03"},
		{"SUBSCRIBE with options of MQTT 5", 4, "\x82\x06\x00\x01\x00\x01a\x05"},
		{"SUBSCRIBE with retain handling 3", 5, "\x82\x07\x00\x01\x00\x00\x01a\x30"},
		{"SUBSCRIBE with id 0", 4, "\x82\x06\x00\x00\x00\x01a\x01"},
		{"SUBSCRIBE with other flags", 4, "\x80\x06\x00\x01\x00\x01a\x01"},
		{"SUBSCRIBE with two ids", 5, "\x82\x0b\x00\x01\x04\x0b\x01\x0b\x02\x00\x01a\x00"},
		{"PUBLISH with QoS 3", 4, "\x36\x05\x00\x01a\x00\x01"},
		{"PUBLISH again with QoS 0", 4, "\x38\x03\x00\x01a"},
		{"PUBLISH with id 0", 4, "\x32\x05\x00\x01a\x00\x00"},
		{"PUBLISH with a topic that is not UTF-8", 4, "\x30\x03\x00\x01\xff"},
		{"PUBLISH with NUL in its topic", 4, "\x30\x03\x00\x01\x00"},
		{"PUBLISH with half a surrogate pair", 4, "\x30\x05\x00\x03\xed\xa0\x80"},
		{"PUBLISH with properties longer than it", 5, "\x30\x05\x00\x01a\x7f\x01"},
		{"PUBLISH with a subscription id", 5, "\x30\x06\x00\x01a\x02\x0b\x01"},
		{"PUBLISH with payload format 2", 5, "\x30\x06\x00\x01a\x02\x01\x02"},
		{"PUBLISH with alias 0", 5, "\x30\x07\x00\x01a\x03\x23\x00\x00"},
		{"a property that does not exist", 5, "\x30\x06\x00\x01a\x02\x3f\x00"},
		{"a property number of two bytes", 5, "\x30\x07\x00\x01a\x03\x81\x01\x00"},
		{"PUBACK with id 0", 4, "\x40\x02\x00\x00"},
		{"PUBACK with a reason in MQTT 3.1.1", 4, "\x40\x03\x00\x07\x00"},
		{"PINGREQ with a body", 5, "\xc0\x01\x00"},
		{"CONNECT again", 5, hello[5]},
		{"CONNACK", 4, "\x20\x02\x00\x00"},
		{"SUBACK", 4, "\x90\x03\x00\x01\x00"},
		{"PINGRESP", 4, "\xd0\x00"},
		{"type 0", 5, "\x00\x00"},
		{"AUTH in MQTT 3.1.1", 4, "\xf0\x02\x18\x00"},
		{"a length with a byte too many", 4, "\xc0\x80\x00"},
		{"a length of five bytes", 4, "\x30\x80\x80\x80\x80\x01"},
		{"a packet larger than the broker takes", 4, "\x30\xff\xff\xff\x7f"},
		{"a SUBSCRIBE larger than 66 KiB", 4, "\x82\x80\x90\x04"},
	} {
		if made, err := passes(t, c.version, []byte(c.said)); len(made) > 0 || errors.Is(err, io.EOF) {
			t.Errorf("%s passes: %d, %v", c.name, len(made), err)
		}
	}
}

// User properties may come again, but not for ever: they cost more to keep than to send.
func TestUserPropertiesAreBounded(t *testing.T) {
	t.Parallel()
	for n, ok := range map[int]bool{maxUser: true, maxUser + 1: false} {
		for name, pk := range map[string]packets.Packet{
			"PUBLISH":   {FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: "a"},
			"SUBSCRIBE": {FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: 1, Filters: packets.Subscriptions{{Filter: "a"}}},
		} {
			pk.ProtocolVersion, pk.Properties.User = 5, make([]packets.UserProperty, n)
			var b bytes.Buffer
			encode := pk.PublishEncode
			if name == "SUBSCRIBE" {
				encode = pk.SubscribeEncode
			}
			if err := encode(&b); err != nil {
				t.Fatal(err)
			}
			if made, err := passes(t, 5, b.Bytes()); len(made) == 1 != ok {
				t.Errorf("%s with %d user properties: %d pass, %v", name, n, len(made), err)
			}
		}
	}
}

// A CONNECT is checked with the same eyes.
func TestScreenOfConnect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, said string
		ok         bool
	}{
		{"3.1", hello[3], true},
		{"3.1.1", hello[4], true},
		{"5", hello[5], true},
		{"an unknown version, which the library answers", "\x10\x0e\x00\x04MQTT\x09\x02\x00\x3c\x00\x02me", true},
		{"everything", "\x10\x37\x00\x04MQTT\x05\xee\x00\x3c\x0b\x11\x00\x00\x00\x01\x21\x00\x05\x22\x00\x00\x00\x02me" +
			"\x0a\x18\x00\x00\x00\x02\x02\x00\x00\x00\x03\x00\x02wt\x00\x02wp\x00\x04user\x00\x02pw", true},
		{"Receive Maximum 0", "\x10\x12\x00\x04MQTT\x05\x02\x00\x3c\x03\x21\x00\x00\x00\x02me", false},
		{"Receive Maximum twice", "\x10\x15\x00\x04MQTT\x05\x02\x00\x3c\x06\x21\x00\x01\x21\x00\x01\x00\x02me", false},
		{"a Will's delay without a Will", "\x10\x14\x00\x04MQTT\x05\x02\x00\x3c\x05\x18\x00\x00\x00\x01\x00\x02me", false},
		{"reserved flag", "\x10\x0e\x00\x04MQTT\x04\x03\x00\x3c\x00\x02me", false},
		{"QoS of a Will that is not there", "\x10\x0e\x00\x04MQTT\x04\x0a\x00\x3c\x00\x02me", false},
		{"password without user", "\x10\x10\x00\x04MQTT\x04\x42\x00\x3c\x00\x02me\x00\x00", false},
		{"user that is not there", "\x10\x0e\x00\x04MQTT\x04\x82\x00\x3c\x00\x02me", false},
		{"PINGREQ first", "\xc0\x00", false},
		{"bytes behind its end", "\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x02me!", false},
		{"17 KB", "\x10\x80\x88\x01\x00\x04MQTT\x04\x02", false},
	} {
		var before atomic.Int64
		err := newScreen(strings.NewReader(c.said), &before).next()
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A PUBLISH passes as it came, however the bytes come and are read, of a long one all
// but its payload, which is whole too; and the screen allocates for what came, not for
// what is announced.
func TestScreenPassesLongPayloads(t *testing.T) {
	t.Parallel()
	payload := bytes.Repeat([]byte("0123456789"), 70_000)
	var said bytes.Buffer
	said.WriteString(hello[5])
	var want [][]byte
	for _, topic := range []int{1, 1100, 5000, 60_000} {
		for _, n := range []int{0, 1, shareFrom - 1, shareFrom, 65_000, 66_000, 700_000} {
			pk := packets.Packet{ProtocolVersion: 5, FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: strings.Repeat("t", topic), Payload: payload[:n]}
			if err := pk.PublishEncode(&said); err != nil {
				t.Fatal(err)
			}
			want = append(want, payload[:n])
		}
	}
	for name, r := range map[string]io.Reader{"at once": bytes.NewReader(said.Bytes()), "in pieces": &trickle{r: bytes.NewReader(said.Bytes())}} {
		var before atomic.Int64
		var got [][]byte
		total := 0
		s := newScreen(r, &before)
		s.seen = func(p *packet) {
			if p.kind == packets.Publish {
				got = append(got, nil)
			}
		}
		err := readAll(s, 5, func(pk *packets.Packet, length int) {
			total += length
			if pk.FixedHeader.Type != packets.Publish {
				return
			}
			body, saved := s.lifted()
			total += saved
			if long := len(want[len(got)-1]) >= shareFrom; long != (body != nil) || long && !bytes.Equal(pk.Payload, standIn) {
				t.Errorf("%s: packet %d: %d bytes lifted, the library has %d", name, len(got), len(body), len(pk.Payload))
			}
			if body == nil {
				body = pk.Payload
			}
			got[len(got)-1] = body
		}, func(err error) { t.Error(err) })
		if !errors.Is(err, io.EOF) || !slices.EqualFunc(got, want, bytes.Equal) || total != said.Len() {
			t.Errorf("%s: %d packets of %d, %d bytes of %d, %v", name, len(got), len(want), total, said.Len(), err)
		}
	}
}

// What is announced and does not come is not allocated, but for a part of a model.
func TestScreenAllocatesWhatComes(t *testing.T) {
	t.Parallel()
	var before atomic.Int64
	s := newScreen(strings.NewReader(hello[4]+"\x30\x80\x80\x40\x00\x01t"), &before)
	if _, err := io.ReadAll(s); !errors.Is(err, io.EOF) && err != nil || cap(s.buf) > screenBuf {
		t.Errorf("%d bytes for a PUBLISH that did not come, %v", cap(s.buf), err)
	}
	most := 0
	come := bytes.Repeat([]byte("x"), 10_000)
	body, err := grown(come[:7], len(come), func(p []byte) (int, error) {
		most = max(most, len(p))
		return copy(p, come[len(come)-len(p):]), nil
	})
	if err != nil || !bytes.Equal(body, come) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	_, err = grown(nil, 200<<20, func(p []byte) (int, error) {
		if most = max(most, len(p)); most > 1<<20 {
			return 0, io.ErrUnexpectedEOF
		}
		return len(p), nil
	})
	if !errors.Is(err, io.ErrUnexpectedEOF) || most > 2<<20 {
		t.Errorf("room for %d bytes at once, %v", most, err)
	}
}

// trickle gives bytes in pieces of changing length.
type trickle struct {
	r io.Reader
	n int
}

func (tr *trickle) Read(p []byte) (int, error) {
	tr.n = tr.n*7%1999 + 1
	return tr.r.Read(p[:min(len(p), tr.n)])
}

// Before they are in, connections hold a little each, and a fixed sum of more:
// who says a short CONNECT comes in whatever the others hold.
func TestConnectsHoldLittle(t *testing.T) {
	t.Parallel()
	var before atomic.Int64
	most := int64(0)
	var held []*screen
	for range 2 * allConnects / maxConnect {
		s := newScreen(strings.NewReader("\x10\xfd\x7f\x00\x04MQTT\x04\x02\x00\x3c\x3f\x00"+strings.Repeat("x", 15_000)), &before)
		if err := s.next(); err == nil {
			t.Fatal("half a CONNECT passed")
		}
		if cap(s.buf) > maxConnect {
			t.Fatalf("a connection holds %d bytes", cap(s.buf))
		}
		held = append(held, s)
		most = max(most, before.Load())
	}
	if most < allConnects*9/10 || most > allConnects {
		t.Errorf("together they hold %d bytes, want up to %d", most, allConnects)
	}
	if err := newScreen(strings.NewReader(hello[4]), &before).next(); err != nil {
		t.Errorf("a short CONNECT beside them: %v", err)
	}
	for _, s := range held {
		s.admitted()
	}
	if before.Load() != 0 {
		t.Errorf("%d bytes are left", before.Load())
	}
}

package hostile

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// str is a string of MQTT.
func str(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

// packet frames a body.
func packet(first byte, body ...[]byte) []byte {
	n := 0
	for _, b := range body {
		n += len(b)
	}
	out := []byte{first}
	for left := n; ; {
		digit := byte(left & 127)
		if left >>= 7; left > 0 {
			digit |= 128
		}
		if out = append(out, digit); left == 0 {
			break
		}
	}
	for _, b := range body {
		out = append(out, b...)
	}
	return out
}

// login is what a CONNECT says.
type login struct {
	id, user, password string
	version            byte // 4 or 5; 0: 4
	keep               bool // the session
	props              []byte
}

func (l login) packet() []byte {
	flags := byte(2)
	if l.keep {
		flags = 0
	}
	body := str(l.id)
	if l.user != "" {
		flags |= 0xc0
		body = append(append(body, str(l.user)...), str(l.password)...)
	}
	version, props := max(l.version, 4), []byte(nil)
	if version == 5 {
		props = append([]byte{byte(len(l.props))}, l.props...)
	}
	return packet(0x10, str("MQTT"), []byte{version, flags, 0, 60}, props, body)
}

func id16(id int) []byte { return []byte{byte(id >> 8), byte(id)} }

// subscribe asks for filters at a QoS.
func subscribe(version, qos byte, filters ...string) []byte {
	body := id16(1)
	if version == 5 {
		body = append(body, 0)
	}
	for _, f := range filters {
		body = append(append(body, str(f)...), qos)
	}
	return packet(0x82, body)
}

// publish has QoS 1 with an id, else 0.
func publish(topic string, payload []byte, id int, retain bool) []byte {
	first := byte(0x30)
	body := str(topic)
	if id > 0 {
		first |= 2
		body = append(body, id16(id)...)
	}
	if retain {
		first |= 1
	}
	return packet(first, body, payload)
}

// conn is a raw connection.
type conn struct {
	net.Conn
	r  *bufio.Reader
	mu sync.Mutex
}

var errRefused = errors.New("refused")

// dial connects; l nil sends nothing. It returns how the broker answered.
func (s *stage) dial(l *login) (*conn, error) {
	c, err := net.DialTimeout("tcp", s.addr, 20*time.Second)
	if err != nil {
		return nil, err
	}
	k := &conn{Conn: c, r: bufio.NewReaderSize(c, 1<<16)}
	s.mu.Lock()
	s.conns = append(s.conns, k)
	s.mu.Unlock()
	if l == nil {
		return k, nil
	}
	if _, err := k.Write(l.packet()); err != nil {
		return nil, err
	}
	first, body, err := k.next(90 * time.Second)
	if err != nil {
		return nil, err
	}
	if first>>4 != 2 || len(body) < 2 || body[1] != 0 {
		_ = k.Close()
		return nil, errRefused
	}
	return k, nil
}

// next reads a packet.
func (k *conn) next(within time.Duration) (first byte, body []byte, err error) {
	if err := k.SetReadDeadline(time.Now().Add(within)); err != nil {
		return 0, nil, err
	}
	if first, err = k.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	length, err := binary.ReadUvarint(k.r) // MQTT's lengths have the same form
	if err != nil || length > 64<<20 {
		return 0, nil, errors.Join(err, errors.New("a length"))
	}
	body = make([]byte, length)
	_, err = io.ReadFull(k.r, body)
	return first, body, err
}

// say writes, whoever else does.
func (k *conn) say(b []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	_, err := k.Write(b)
	return err
}

// drain reads all that comes, until the connection ends.
func (k *conn) drain() {
	for {
		if _, _, err := k.next(time.Hour); err != nil {
			return
		}
	}
}

// message takes a PUBLISH apart.
func message(first byte, body []byte) (topic string, payload []byte, id int) {
	n := int(binary.BigEndian.Uint16(body))
	topic, payload = string(body[2:2+n]), body[2+n:]
	if first&6 != 0 {
		id, payload = int(binary.BigEndian.Uint16(payload)), payload[2:]
	}
	return topic, payload, id
}

// listen subscribes at QoS 1, acknowledges, and hands every message on.
func (s *stage) listen(l login, take func(topic string, payload []byte), filters ...string) (*conn, error) {
	k, err := s.dial(&l)
	if err != nil {
		return nil, err
	}
	if err := k.say(subscribe(4, 1, filters...)); err != nil {
		return nil, err
	}
	s.goes.Go(func() {
		for {
			first, body, err := k.next(time.Hour)
			if err != nil {
				return
			}
			if first>>4 != 3 {
				continue
			}
			topic, payload, id := message(first, body)
			if id > 0 && k.say(packet(0x40, id16(id))) != nil {
				return
			}
			take(topic, payload)
		}
	})
	s.goes.Go(func() {
		tick := time.NewTicker(20 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-s.over:
				return
			case <-tick.C:
				if k.say([]byte{0xc0, 0}) != nil {
					return
				}
			}
		}
	})
	return k, nil
}

package virtual

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/record"
)

// deafConn loses PUBACKs on their way to the client, as long as the world says
// so. Everything else passes.
type deafConn struct {
	net.Conn
	w    *world
	rest []byte // of the packet being read
}

const puback, unsuback = 4 << 4, 11 << 4

func (c *deafConn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		packet, err := readPacket(c.Conn)
		if err != nil {
			return 0, err
		}
		c.w.mu.Lock()
		lost := c.w.deaf && packet[0] == puback || packet[0] == unsuback
		c.w.mu.Unlock()
		if !lost {
			c.rest = packet
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// readPacket reads one MQTT packet whole.
func readPacket(r io.Reader) ([]byte, error) {
	packet := make([]byte, 1, 64)
	if _, err := io.ReadFull(r, packet); err != nil {
		return nil, err
	}
	for length, shift := 0, 0; ; shift += 7 {
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		packet = append(packet, b[0])
		length |= int(b[0]&0x7f) << shift
		if b[0]&0x80 == 0 {
			body := make([]byte, length)
			_, err := io.ReadFull(r, body)
			return append(packet, body...), err
		}
	}
}

// A broker that loses PUBACKs and keeps the link does not stop a task: model and order
// are tried again, not too often, and the attempt's time runs when they come again.
func TestLostPubacks(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds = 1
		w.aggregate(task)
		w.join(three[0], walker{})
		w.join(three[1], walker{})
		c := w.client("watch", own("round"), own("order"), own("model"))
		c.awaitView("two have joined", time.Minute, func(v view) bool { return v.Members == 2 })
		time.Sleep(5 * time.Second)
		w.setDeaf(true)
		c.forget()
		w.join(three[2], walker{takes: time.Hour})
		time.Sleep(5 * time.Minute)
		if n, m := len(c.all(own("order"))), len(c.all(own("model"))); n != m || m < 3 || m > 15 {
			t.Errorf("%d orders and %d models in five minutes without PUBACKs, want 3 to 15 of both", n, m)
		}
		w.setDeaf(false)
		r := w.recorded(1, record.Committed, 3*time.Minute)
		if r.Reason != "deadline" || counted(r) != 2 {
			t.Errorf("%s, %d counted", r.Reason, counted(r))
		}
	})
}

func (w *world) setDeaf(deaf bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf = deaf
}

// unsubscribe takes subscriptions of the aggregator away at the broker, behind
// the back of its client.
func (w *world) unsubscribe(filters ...string) {
	w.t.Helper()
	body := []byte{0xfd, 0xe8} // a packet id that the client is far from
	for _, f := range filters {
		body = append(body, 0, byte(len(f)))
		body = append(body, f...)
	}
	packet := append([]byte{0xa2, byte(len(body)&0x7f) | 0x80, byte(len(body) >> 7)}, body...)
	w.mu.Lock()
	c := w.conns[aggregatorName]
	w.mu.Unlock()
	_, err := c.Write(packet)
	check(w.t, err)
	synctest.Wait()
}

// A broker that loses subscriptions under a live link makes the aggregator
// deaf for the time of a heartbeat, not for good.
func TestLostSubscriptions(t *testing.T) {
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds, task.Deadline = 1, 5*time.Minute
		w.aggregate(task)
		for _, m := range three {
			w.join(m, walker{takes: 20 * time.Second})
		}
		c := w.client("watch", own("round"), own("order"))
		c.awaitView("round 1", time.Minute, func(v view) bool { return v.Phase == "open" })
		w.unsubscribe(namespace+"/_fl_v1/state", own("order"), own("model"), own("record"), own("command"), memberTopic("+/line-1", "update"), memberTopic("+/line-1", "join"))
		r := w.recorded(1, record.Committed, 5*time.Minute)
		if counted(r) != 3 || r.ClosedMS-r.OpenedMS > 150_000 {
			t.Errorf("%d counted after %d ms", counted(r), r.ClosedMS-r.OpenedMS)
		}
		c.say(own("order"), []byte("junk"), true)
		time.Sleep(10 * time.Second)
		openOrder(w, w.retained(own("order")))
	})
}

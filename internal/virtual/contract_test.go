package virtual

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fedmq/fedmq/aggregator"
	"github.com/fedmq/fedmq/internal/contract"
	"github.com/fedmq/fedmq/internal/racing"
	"github.com/fedmq/fedmq/topics"
)

// readerConn reads along what a party sends to the broker, its Last Will too,
// and holds all JSON against the schemas of docs/ref/schema. Under the race detector
// nobody reads along: that is one goroutine, and a tenth of the time.
type readerConn struct {
	net.Conn
	w    *world
	name string
	buf  bytes.Buffer // of a packet that is not whole yet

	other bool // it speaks MQTT 5, as the probe of a broker does
}

func (c *readerConn) Write(p []byte) (int, error) {
	if c.other = c.other || bytes.Contains(p, []byte("MQTT\x05")) && p[0] == 0x10; c.other {
		return c.Conn.Write(p)
	}
	c.buf.Write(p)
	for wholePacket(c.buf.Bytes()) {
		packet, err := packets.ReadPacket(&c.buf)
		if err != nil {
			c.w.t.Errorf("%s sent what is no packet: %v", c.name, err)
			break
		}
		switch x := packet.(type) {
		case *packets.ConnectPacket:
			if x.WillFlag {
				c.w.holds(c.name, x.WillTopic, x.WillMessage, x.WillRetain, x.WillQos)
			}
		case *packets.PublishPacket:
			c.w.holds(c.name, x.TopicName, x.Payload, x.Retain, x.Qos)
		}
	}
	return c.Conn.Write(p)
}

// wholePacket reports whether b begins with a packet that is all there.
func wholePacket(b []byte) bool {
	for i, length := 1, 0; i < len(b) && i < 5; i++ {
		length |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i]&0x80 == 0 {
			return len(b) >= i+1+length
		}
	}
	return false
}

// holds checks one message of an aggregator or a site. Commands are an
// operator's, and tests send bad ones on purpose.
func (w *world) holds(name, topic string, payload []byte, retained bool, qos byte) {
	at, err := w.ns.Parse(topic)
	if err != nil {
		w.t.Errorf("%s published on %s: %v", name, topic, err)
		return
	}
	if len(payload) == 0 || !at.Kind.JSON() || at.Kind == topics.Command {
		return
	}
	if err := w.schemas.Check(at.Kind, payload); err != nil {
		w.t.Errorf("%s published %s on %s: %v", name, payload, topic, err)
	}
	most := byte(1)
	if at.Kind == topics.Event {
		most = 0
	}
	if retained != at.Kind.Retained() || qos > most {
		w.t.Errorf("%s published on %s with retained %t and QoS %d", name, topic, retained, qos)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.published[at.Kind]++
}

// calm waits until the newest fact is that an attempt begins, or that the task
// stands still, and returns the round: a view may be a second old.
func (c *client) calm() uint64 {
	c.w.t.Helper()
	var e struct {
		Event string
		Round uint64
	}
	c.w.until("a calm moment", time.Minute, func() bool {
		if got := c.all(own("event")); len(got) > 0 {
			check(c.w.t, json.Unmarshal(got[len(got)-1].Payload, &e))
		}
		return e.Event == "opened" || e.Event == "halted" || e.Event == "command"
	})
	return e.Round
}

// Every kind of JSON comes by, in a federation with commands, and is as its
// schema says; and the schemas refuse what is not.
func TestContract(t *testing.T) {
	racing.Skip(t, "TestCommands has the goroutines of commands")
	inBubble(t, func(w *world) {
		task := w.task()
		task.Rounds = 100
		w.aggregate(task)
		c := w.client("operator", own("round"), own("event"))
		for _, m := range three {
			w.join(m, walker{takes: 10 * time.Second})
		}
		w.recorded(1, "committed", 5*time.Minute)
		for i, op := range []string{"pause", "resume", "stop", "start", "pause_now"} {
			at := c.calm()
			doc := fmt.Sprintf(`{"schema":%q,"id":"%d","command":%q,"at_round":%d,"timestamp_ms":1}`, aggregator.CommandSchema, i, op, at)
			if op == "resume" {
				doc = strings.Replace(doc, fmt.Sprintf(`"at_round":%d`, at), `"pause":"0"`, 1)
			}
			check(t, w.schemas.Check(topics.Command, []byte(doc)))
			if w.schemas.Check(topics.Command, []byte(strings.Replace(doc, `"id"`, `"force":true,"id"`, 1))) == nil {
				t.Error("the schema of commands allows what the aggregator refuses")
			}
			c.say(own("command"), []byte(doc), false)
			c.answered(op + ": done")
			time.Sleep(2 * time.Minute)
		}
		w.endAll()
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, k := range contract.Kinds {
			if w.published[k] == 0 && k != topics.Command && k != topics.Statistics { // TestSurvey has that
				t.Errorf("nothing on %s", k)
			}
		}
	})
}

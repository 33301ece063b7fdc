package link

import (
	"fmt"
	"net"
	"net/url"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// options are the library's settings for one session.
func (c *Conn) options(s *session) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions()
	o.AddBroker("tcp://broker") // not dialled: the byte stream is ours
	o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return s.guard, nil })
	o.SetClientID(c.cfg.ClientID)
	o.SetUsername(c.cfg.Username)
	o.SetPassword(c.cfg.Password)
	o.SetProtocolVersion(4)               // C-9: 3.1.1, no silent fall-back to 3.1
	o.SetCleanSession(true)               // persistent sessions resend in any order
	o.SetAutoReconnect(false)             // C-9: its back-off knows no jitter and grows to 10 min;
	o.SetConnectRetry(false)              // Run retries instead
	o.SetKeepAlive(KeepAlive)             // C-3
	o.SetPingTimeout(PingTimeout)         // C-3
	o.SetWriteTimeout(handOver)           // C-4: the guard holds the wire to WriteTimeout
	o.SetConnectTimeout(ConnectTimeout)   // of the handshake
	o.SetStore(nothing{})                 // C-2
	o.SetDefaultPublishHandler(s.receive) // C-6: set before CONNECT, for every topic
	o.SetOrderMatters(true)               // C-5: see receive
	o.SetAutoAckDisabled(true)            // C-5: see acknowledge
	o.SetConnectionLostHandler(s.onLost)  // tells a missing PINGRESP
	if w := c.cfg.Will; w != nil {        // C-17
		o.SetBinaryWill(w.Topic, w.Payload, min(w.QoS, 1), w.Retained)
	}
	return o
}

func (s *session) onLost(_ mqtt.Client, err error) {
	select {
	case s.lost <- err:
	default:
	}
}

// receive queues one message. The library's unordered mode would start a
// goroutine per message, and those overtake each other: the newest of a topic
// could be coalesced away by an older one. Its ordered mode runs this in the
// reader, which is safe for exactly one reason: nothing here can wait, neither
// the queue nor the PUBACK, which another goroutine sends (C-5, C-12).
func (s *session) receive(_ mqtt.Client, m mqtt.Message) {
	s.conn.inbox.put(Message{Topic: m.Topic(), Payload: m.Payload(), QoS: m.Qos(), Retained: m.Retained()})
	if m.Qos() == 0 {
		return
	}
	s.mu.Lock()
	s.acks = append(s.acks, m)
	over := len(s.acks) > maxAcks
	s.mu.Unlock()
	if over {
		s.guard.fail(fmt.Errorf("%w: %d messages without waiting for a PUBACK", errPacket, maxAcks), false)
	}
	signal(s.wakeOK)
}

// acknowledge sends PUBACKs in order of arrival. A write that takes long delays
// them, and nobody else (C-5).
func (s *session) acknowledge() {
	for {
		s.mu.Lock()
		acks := s.acks
		s.acks = nil
		s.mu.Unlock()
		for _, m := range acks {
			m.Ack()
		}
		if len(acks) > 0 {
			continue
		}
		select {
		case <-s.wakeOK:
		case <-s.guard.done:
			return
		}
	}
}

// nothing is a Store that keeps nothing: sending again is up to fedmq (C-2).
type nothing struct{}

func (nothing) Open()                             {}
func (nothing) Put(string, packets.ControlPacket) {}
func (nothing) Get(string) packets.ControlPacket  { return nil }
func (nothing) All() []string                     { return nil }
func (nothing) Del(string)                        {}
func (nothing) Close()                            {}
func (nothing) Reset()                            {}

package link

import (
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
	o.SetProtocolVersion(4)              // C-9: 3.1.1, no silent fall-back to 3.1
	o.SetCleanSession(true)              // persistent sessions resend in any order
	o.SetAutoReconnect(false)            // C-9: its back-off knows no jitter and grows to 10 min;
	o.SetConnectRetry(false)             // Run retries instead
	o.SetKeepAlive(KeepAlive)            // C-3
	o.SetPingTimeout(PingTimeout)        // C-3
	o.SetWriteTimeout(handOver)          // C-4: the guard holds the wire to WriteTimeout
	o.SetConnectTimeout(ConnectTimeout)  // of the handshake
	o.SetStore(nothing{})                // C-2
	o.SetConnectionLostHandler(s.onLost) // tells a missing PINGRESP
	c.mu.Lock()
	w := c.will
	c.mu.Unlock()
	if w != nil { // C-17
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

// nothing is a Store that keeps nothing: sending again is up to fedmq (C-2).
type nothing struct{}

func (nothing) Open()                             {}
func (nothing) Put(string, packets.ControlPacket) {}
func (nothing) Get(string) packets.ControlPacket  { return nil }
func (nothing) All() []string                     { return nil }
func (nothing) Del(string)                        {}
func (nothing) Close()                            {}
func (nothing) Reset()                            {}

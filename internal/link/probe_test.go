package link

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fedmq/fedmq/internal/bubble"
)

func probe(t *testing.T, cfg Config, persistent bool) *Probe {
	t.Helper()
	if cfg.ClientID == "" {
		cfg.ClientID = "berlin:probe"
	}
	p, err := OpenProbe(t.Context(), cfg, persistent)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A Probe publishes at every QoS, receives, and acknowledges what it receives
// and nothing before.
func TestProbe(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		sub, pub := probe(t, Config{Dial: b.dial, ClientID: "a"}, false), probe(t, Config{Dial: b.dial, ClientID: "b"}, false)
		codes, err := sub.Subscribe(t.Context(), Filter{Topic: "x", QoS: 2}, Filter{Topic: "y", QoS: 1})
		if err != nil || len(codes) != 2 || codes[0] != 2 || codes[1] != 1 {
			t.Fatalf("codes %v, %v", codes, err)
		}
		n, err := pub.Publish(t.Context(), 2, Message{Topic: "x", QoS: 0}, Message{Topic: "x", QoS: 1}, Message{Topic: "x", QoS: 2},
			Message{Topic: "y", QoS: 2, Retained: true, Payload: []byte("r")})
		if n != 4 || err != nil {
			t.Errorf("%d acknowledged, %v", n, err)
		}
		synctest.Wait()
		cl, _ := b.srv.Clients.Get("a")
		if cl.State.Inflight.Len() == 0 {
			t.Error("acknowledged what nobody has received")
		}
		for i, want := range []byte{0, 1, 2, 1} {
			m, err := sub.Receive(t.Context())
			if err != nil || m.QoS != want {
				t.Errorf("message %d: QoS %d, want %d, %v", i, m.QoS, want, err)
			}
		}
		if _, err := sub.Subscribe(t.Context(), Filter{Topic: "z"}); err != nil { // reads what is left of the handshakes
			t.Error(err)
		}
		synctest.Wait()
		if got := cl.State.Inflight.Len(); got != 0 {
			t.Errorf("%d not acknowledged", got)
		}
		if _, err := pub.Publish(t.Context(), 1, Message{Topic: "+"}); !errors.Is(err, ErrTopic) {
			t.Errorf("published to a wildcard: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1)
		defer cancel()
		if _, err := sub.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("received nothing: %v", err)
		}
		sub.Close()
		pub.Close()
	})
}

// Close sends no Will, Cut does; a session is kept when asked for.
func TestProbeEnds(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		will := &Message{Topic: "state", Payload: []byte("off"), QoS: 1}
		probe(t, Config{Dial: b.dial, Will: will}, false).Close()
		synctest.Wait()
		if len(b.wills) != 0 {
			t.Errorf("wills %v after Close", b.wills)
		}
		probe(t, Config{Dial: b.dial, Will: will}, false).Cut()
		synctest.Wait()
		if len(b.wills) != 1 {
			t.Errorf("wills %v after Cut", b.wills)
		}
		for _, want := range []bool{false, true} {
			p := probe(t, Config{Dial: b.dial, ClientID: "kept"}, true)
			if p.Present != want {
				t.Errorf("session present %t, want %t", p.Present, want)
			}
			p.Close()
			synctest.Wait()
		}
	})
}

// Refusals, cuts and broken answers have names.
func TestProbeErrors(t *testing.T) {
	t.Parallel()
	answer := func(code byte) packets.ControlPacket {
		a := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
		a.ReturnCode = code
		return a
	}
	for _, c := range []struct {
		name   string
		answer packets.ControlPacket // nil: the link is cut
		is     error
	}{
		{"password", answer(4), ErrRefused},
		{"cut", nil, ErrCut},
		{"unknown code", answer(77), errPacket},
		{"no CONNACK", packets.NewControlPacket(packets.Pingresp), errPacket},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bubble.Test(t, func(t *testing.T) {
				s := newStub(t, func(*stub, packets.ControlPacket) []packets.ControlPacket {
					return []packets.ControlPacket{c.answer}
				})
				if p, err := OpenProbe(t.Context(), Config{Dial: s.dial, ClientID: "a"}, false); !errors.Is(err, c.is) || p != nil {
					t.Errorf("error %v, want %v", err, c.is)
				}
			})
		})
	}
	bubble.Test(t, func(t *testing.T) {
		b := newBroker(t)
		p := probe(t, Config{Dial: b.dial}, false)
		b.cut()
		<-p.Lost()
		if _, err := p.Receive(t.Context()); !errors.Is(err, ErrCut) {
			t.Errorf("after a cut: %v", err)
		}
		if n, err := p.Publish(t.Context(), 1, Message{Topic: "x", QoS: 1}); n != 0 || !errors.Is(err, ErrCut) {
			t.Errorf("after a cut: %d, %v", n, err)
		}
		p.Cut()
		if _, err := OpenProbe(t.Context(), Config{Broker: "nonsense", ClientID: "a"}, false); err == nil {
			t.Error("no broker, no error")
		}
	})
}

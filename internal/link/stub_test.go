package link

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/fedmq/fedmq/internal/bubble"
)

// withhold is a broker without PUBACKs that cuts the link at a PUBLISH when cut
// says so.
func withhold(cut func(*packets.PublishPacket) bool) func(*stub, packets.ControlPacket) []packets.ControlPacket {
	return func(_ *stub, p packets.ControlPacket) []packets.ControlPacket {
		if pub, ok := p.(*packets.PublishPacket); ok && cut(pub) {
			return []packets.ControlPacket{nil}
		}
		return polite(p)
	}
}

// published lists the PUBLISHes seen, as topic:payload.
func (s *stub) published() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.seen {
		if pub, ok := p.(*packets.PublishPacket); ok {
			out = append(out, pub.TopicName+":"+string(pub.Payload))
		}
	}
	return out
}

// ids are the packet ids of the PUBLISHes seen.
func (s *stub) ids() (out []uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.seen {
		if pub, ok := p.(*packets.PublishPacket); ok {
			out = append(out, pub.MessageID)
		}
	}
	return out
}

// C-16: a topic suspected travels alone, so the culprit is found even by a
// broker that acknowledges late; and a PUBACK clears the innocent.
func TestSuspectsTravelAlone(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		cutGood := false
		s := newStub(t, func(s *stub, p packets.ControlPacket) []packets.ControlPacket {
			pub, ok := p.(*packets.PublishPacket)
			switch {
			case !ok:
				return polite(p)
			case pub.TopicName == "bad", cutGood:
				cutGood = false
				return []packets.ControlPacket{nil}
			}
			s.mu.Lock()
			conn := s.conn
			s.mu.Unlock()
			time.AfterFunc(time.Second, func() { _ = puback(pub.MessageID).Write(conn) })
			return nil
		})
		c, _ := start(t, Config{Dial: s.dial})
		topics := []string{"good/1", "good/2", "bad", "good/3"}
		for range 3 {
			next(t, c, isUp)
			for _, topic := range topics {
				c.Post(Message{Topic: topic, Payload: []byte("x"), QoS: 1})
			}
			time.Sleep(10 * time.Second) // each travels alone for a second
			if len(c.Stats().Quarantined) > 0 {
				break
			}
		}
		if got := c.Stats(); got.Losses != 2 || !slices.Equal(got.Quarantined, []string{"bad"}) {
			t.Errorf("losses %d, quarantined %q", got.Losses, got.Quarantined)
		}
		next(t, c, isUp)
		for _, topic := range topics {
			if err := publish(c, topic, "x"); (topic == "bad") != errors.Is(err, ErrQuarantined) || topic != "bad" && err != nil {
				t.Errorf("%s: %v", topic, err)
			}
		}
		cutGood = true // a loss by accident, the first since good/1 was acknowledged
		if err := publish(c, "good/1", "x"); !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("cut by accident: %v", err)
		}
		next(t, c, isUp)
		if err := publish(c, "good/1", "x"); err != nil {
			t.Errorf("after an accident: %v", err)
		}
	})
}

// Of two retained posts of one topic in flight at a loss only the newer is sent
// again.
func TestOnlyTheNewestIsRepeated(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		cut := true
		s := newStub(t, withhold(func(pub *packets.PublishPacket) bool {
			defer func() { cut = cut && pub.TopicName != "last" }()
			return cut && pub.TopicName == "last"
		}))
		c, _ := start(t, Config{Dial: s.dial})
		next(t, c, isUp)
		for i := range 3 {
			c.Post(Message{Topic: "order", Payload: fmt.Append(nil, i), QoS: 1, Retained: true})
		}
		c.Post(Message{Topic: "last", QoS: 1})
		next(t, c, isDown)
		next(t, c, isUp)
		synctest.Wait()
		if got, want := s.published(), []string{"order:0", "order:1", "order:2", "last:", "order:2"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	})
}

// A caller that gives up while there is no room has sent nothing, and the
// message does not go out later.
func TestWithdrawnForWantOfRoom(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		s := newStub(t, withhold(func(*packets.PublishPacket) bool { return false }))
		c, _ := start(t, Config{Dial: s.dial})
		next(t, c, isUp)
		for range inFlight {
			c.Post(Message{Topic: "a", QoS: 1})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		err := c.Publish(ctx, Message{Topic: "b", QoS: 1})
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("error %v", err)
		}
		for _, id := range s.ids()[:inFlight] {
			if err := puback(id).Write(s.conn); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := s.published(); len(got) != inFlight || slices.Contains(got, "b:") {
			t.Errorf("sent %q", got)
		}
		if err := c.Publish(t.Context(), Message{Topic: "c"}); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}

// A broker that loses PUBACKs takes the room of a message for a while, and not for good;
// one that comes late gives none back twice.
func TestRoomOfLostPubacks(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		s := newStub(t, withhold(func(*packets.PublishPacket) bool { return false }))
		c, _ := start(t, Config{Dial: s.dial})
		next(t, c, isUp)
		for n := range 3 {
			for range inFlight + 1 {
				c.Post(Message{Topic: "a", QoS: 1})
			}
			synctest.Wait()
			if got, want := len(s.published()), inFlight*(n+1); got != want {
				t.Fatalf("sent %d, want %d", got, want)
			}
			if n == 1 {
				for _, id := range s.ids()[:inFlight] {
					if err := puback(id).Write(s.conn); err != nil {
						t.Fatal(err)
					}
				}
			}
			time.Sleep(roomFor)
			synctest.Wait()
		}
	})
}

// What is handed over leaves in its order, and waits for no PUBACK of what left before.
func TestHandedInOrder(t *testing.T) {
	t.Parallel()
	bubble.Test(t, func(t *testing.T) {
		s := newStub(t, withhold(func(*packets.PublishPacket) bool { return false }))
		c, _ := start(t, Config{Dial: s.dial})
		next(t, c, isUp)
		var handed []*Handed
		for _, topic := range []string{"model", "record", "order"} {
			h, err := c.Hand(t.Context(), Message{Topic: topic, QoS: 1})
			if err != nil {
				t.Fatal(err)
			}
			handed = append(handed, h)
		}
		synctest.Wait()
		if got, want := s.published(), []string{"model:", "record:", "order:"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		for i, h := range handed {
			if err := puback(s.ids()[i]).Write(s.conn); err != nil {
				t.Fatal(err)
			}
			if err := h.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

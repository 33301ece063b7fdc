package link

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fedmq/fedmq/internal/bubble"
)

// C-13: a peer that publishes more than we take, again and again, costs no link and no
// room: the messages are read past, counted and acknowledged, and what comes between
// them arrives.
func TestOversizeMessagesAreReadPast(t *testing.T) {
	t.Parallel()
	for _, qos := range []byte{0, 1} {
		bubble.Test(t, func(t *testing.T) {
			b := newBroker(t)
			c, _ := start(t, Config{Dial: b.dial, ClientID: "us", MaxPacket: 8 << 10}, "t")
			next(t, c, isUp)
			peer, _ := start(t, Config{Dial: b.dial, ClientID: "peer"})
			next(t, peer, isUp)
			for i := range 50 {
				for _, m := range []Message{{Topic: "t", Payload: make([]byte, 8<<10+i), QoS: qos}, {Topic: "t", Payload: []byte{byte(i)}, QoS: qos}} {
					if err := peer.Publish(context.Background(), m); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i := range 50 {
				select {
				case m := <-c.Messages():
					if len(m.Payload) != 1 || m.Payload[0] != byte(i) {
						t.Fatalf("message %d is of %d bytes", i, len(m.Payload))
					}
				case <-time.After(time.Minute):
					t.Fatalf("only %d messages came", i)
				}
			}
			synctest.Wait()
			if s := c.Stats(); s.TooLarge != 50 || s.Losses != 0 || s.Epoch != 1 {
				t.Errorf("%d too large, %d losses, connection %d", s.TooLarge, s.Losses, s.Epoch)
			}
			if n := atomic.LoadInt64(&b.srv.Info.Inflight); n != 0 {
				t.Errorf("QoS %d: the broker still waits for %d acknowledgements", qos, n)
			}
		})
	}
}
